"""`fork_exec` of CPython's `_posixsubprocess`, which `subprocess.Popen` calls to start a program.

The standard `Popen` stays as it is: it makes its pipes with `os.pipe`, calls `fork_exec` with the
ends for the child, and reads an exec error from a pipe of its own. The rejected way, a `Popen` of
our own, has to follow every version of a class of a thousand lines, and programs that derive from
`Popen` or look into it break.

The child receives what the grant gives it. `close_fds`, `restore_signals`, `start_new_session` and
`process_group` are accepted: a child inherits no descriptor and no signal mask in any case, and its
host keeps it apart. What would run code of the component in the child is an error with its reason.
"""

import errno
import os

from . import border, children, descriptors, pipes, programs
from .errors import Refused

# The environment of the component when it started, which the operator gave it (`--env`). It is the
# component's own: a child receives of it what the program changed, and what the grant sets.
_given = {}


def started():
    """Remembers the environment. Called once, when the component starts."""
    _given.clear()
    _given.update(os.environ)

# Why the last start failed, in words. `Popen` has an errno only: see `install`.
last_reason = []
# The path of a file that is about to become a child's stream, by its descriptor, and whether it is
# written.
paths = {}


def _no_nul(value):
    if b"\0" in value:
        raise ValueError("embedded null byte")
    return value


def _sequence(value, name):
    """Returns bytes of each item. Raises TypeError and ValueError."""
    if isinstance(value, (str, bytes)) or not hasattr(value, "__iter__"):
        raise TypeError(f"{name} must be a sequence of str, bytes or os.PathLike")
    return [_no_nul(os.fsencode(each)) for each in value]


def _check_kept(fds):
    if not isinstance(fds, tuple):
        raise TypeError("fds_to_keep must be a tuple")
    before = -1
    for fd in fds:
        if not isinstance(fd, int) or fd < 0 or fd <= before or fd > 2**31 - 1:
            raise ValueError("bad value(s) in fds_to_keep")
        before = fd


def fork_exec(
    args, executables, close_fds, pass_fds, cwd, env,
    p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite, errpipe_read, errpipe_write,
    restore_signals, start_new_session, process_group, gid, extra_groups, uid, umask, preexec_fn,
    allow_vfork=True,
):  # fmt: skip
    """Starts a program and returns its number; a failure goes into the error pipe."""
    args, executables = _sequence(args, "args"), _sequence(executables, "executable_list")
    env = None if env is None else _sequence(env, "env")
    cwd = None if cwd is None else _no_nul(os.fsencode(cwd))
    _check_kept(pass_fds)
    _unsupported(pass_fds, errpipe_write, gid, extra_groups, uid, umask, preexec_fn)
    if close_fds and errpipe_write < 3:
        raise ValueError("errpipe_write must be >= 3")
    try:
        return start(
            executables, args, env, cwd, (p2cread, c2pwrite, errwrite),
            leader=bool(start_new_session) or process_group >= 0,
        )  # fmt: skip
    except Refused as refusal:
        last_reason[:] = [refusal.reason]
        place = b"noexec:chdir" if refusal.in_directory else b""
        _report(errpipe_write, refusal.errno, place)
    except OSError as failure:
        last_reason[:] = [failure.strerror]
        _report(errpipe_write, failure.errno or errno.EIO, b"")
    return children.add_failed()


def _report(fd, number, place):
    message = b"OSError:%x:%s" % (number, place)
    if descriptors.is_ours(fd):
        descriptors.write(fd, message)
    else:
        os.write(fd, message)


def _unsupported(pass_fds, errpipe_write, gid, groups, uid, umask, preexec_fn):
    if preexec_fn is not None:
        raise ValueError(
            "preexec_fn is not supported in a component: it is code of this program that would run "
            "in the child, and the child is a program of the host"
        )
    if any(fd != errpipe_write for fd in pass_fds):
        raise ValueError(
            "pass_fds is not supported in a component: its descriptors are not the host's, and a "
            "child receives its three standard streams and nothing else"
        )
    for name, value in (("user", uid), ("group", gid), ("extra_groups", groups)):
        if value is not None:
            raise PermissionError(
                errno.EPERM, f"{name} is not supported: the host decides which user a child runs as"
            )
    if umask is not None and umask >= 0:
        raise PermissionError(errno.EPERM, "umask is not supported: the host decides on it")


def _pairs(env):
    """Returns names and values."""
    pairs = []
    for entry in env:
        name, separator, value = entry.partition(b"=")
        if not separator or not name:
            raise Refused(errno.EINVAL, "a variable has no name")
        pairs.append((name, value))
    return pairs


def _own_variables():
    """Returns the variables that the program has set or changed."""
    changed = {name: value for name, value in os.environ.items() if _given.get(name) != value}
    return [(os.fsencode(name), os.fsencode(value)) for name, value in changed.items()]


def start(executables, args, env, cwd, streams, leader=False):
    """Starts a program with these descriptors as its streams. Returns its number.

    `env` is a list of `NAME=value`, or None for the variables that the program has set. A
    descriptor of -1 is inherited: an output goes to the component's own, and the input is empty,
    since what a child leaves unread would be lost to the component.
    Raises `Refused` and OSError.
    """
    if cwd is None and os.getcwd() != "/":
        # The program called os.chdir.
        cwd = os.fsencode(os.getcwd())
    variables = _own_variables() if env is None else _pairs(env)
    request = _Request(executables, args, cwd, streams)
    try:
        spawned = request.start(variables)
    except Refused as refusal:
        raise _at_directory(refusal, cwd) from None
    finally:
        request.close()
    child = children.add(spawned, leader)
    _connect(child, spawned, request.kinds, streams)
    return child.pid


# Programs whose `argv[0]` the grant sets, and does not let the component set.
_arg0_refused = set()


class _Request:
    """One program to start, in as many attempts as it takes."""

    def __init__(self, executables, args, cwd, streams):
        stdin, stdout, stderr = streams
        self._executables, self._args, self._cwd = executables, args, cwd
        self.kinds = [
            _input_kind(stdin),
            _output_kind(stdout),
            "merged" if _same(stdout, stderr) else _output_kind(stderr),
        ]
        self._arg0 = None
        name = os.path.basename(executables[0])
        if args and os.path.basename(args[0]) != name and name not in _arg0_refused:
            self._arg0 = args[0]
        self._source = _described(stdin)
        self._options = None

    def _prepare(self, variables):
        """Sets all options again; an earlier attempt may have set others."""
        options = self._options
        if options is None:
            options, passed = self._new_options()
            if passed:
                self.kinds[0] = "passed"
            self._options = options
        options.set_streams(*self.kinds)
        options.set_environment(variables)
        if self._cwd is not None:
            options.set_directory(self._cwd)
        if self._arg0 is not None:
            options.set_arg0(self._arg0)

    def _new_options(self):
        """Returns options, and whether they hold the output of another child as the input.

        Such an end exists once. If no program was started with it, the next attempt of the caller
        finds it in the pipe.
        """
        pipe = getattr(self._source, "pipe", None)
        if self.kinds[0] != "piped" or pipe is None:
            return border.Options(), False
        parked, pipe.parked = pipe.parked, None
        if parked is not None:
            return parked, True
        # Options with `argv[0]` may have to be made again without it.
        passed = pipe.hand_on() if self._arg0 is None else None
        options = border.Options()
        if passed is not None:
            options.set_stdin_pipe(passed)
        return options, passed is not None

    def start(self, variables):
        self._prepare(variables)
        try:
            return self._try()
        except Refused as refusal:
            if self._arg0 is None or refusal.item != "argument":
                raise
            _arg0_refused.add(os.path.basename(self._executables[0]))
            self._arg0 = None
            self._options.close()
            self._options = None
            self._prepare(variables)
            return self._try()

    def _try(self):
        rest = self._args[1:]
        spawned = programs.start(
            self._executables, self._cwd, lambda name: self._options.spawn(name, rest)
        )
        self._options.close()
        self._options = None
        return spawned

    def close(self):
        options, self._options = self._options, None
        if options is None:
            return
        if self.kinds[0] == "passed":
            self._source.pipe.parked = options
        else:
            options.close()


def _at_directory(refusal, cwd):
    """The host reports one error for a directory that is missing and for a file in its place."""
    if refusal.in_directory and refusal.errno == errno.ENOENT and cwd is not None:
        if os.path.exists(cwd) and not os.path.isdir(cwd):
            refusal.errno = errno.ENOTDIR
    return refusal


def _described(fd):
    return descriptors.description(fd) if descriptors.is_ours(fd) else None


def _input_kind(fd):
    if fd == -1 or isinstance(_described(fd), descriptors.Null):
        return "null"
    if _described(fd) is None:
        os.fstat(fd)
    return "piped"


def _output_kind(fd):
    if fd != -1 and isinstance(_described(fd), descriptors.Null):
        return "null"
    if fd not in (-1, 0, 1, 2) and _described(fd) is None:
        os.fstat(fd)
    return "piped"


def _same(stdout, stderr):
    """Whether both outputs go to one place, whose order then is that of the writes."""
    if stdout == stderr:
        return stdout != -1
    if stdout == -1 or stderr == -1:
        return {stdout, stderr} == {-1, 1} and stdout == -1
    first, second = _described(stdout), _described(stderr)
    if first is None or second is None:
        return False
    return first is second or getattr(first, "pipe", first) is getattr(second, "pipe", second)


def _connect(child, spawned, kinds, streams):
    """Connects the host's streams of a child with the descriptors that it received."""
    stdin, stdout, stderr = streams
    if kinds[0] == "piped":
        _connect_input(child, spawned.stdin(), stdin)
    for kind, fd, own, take, hand_on in (
        (kinds[1], stdout, 1, spawned.stdout, spawned.pass_stdout),
        (kinds[2], stderr, 2, spawned.stderr, spawned.pass_stderr),
    ):
        if kind == "piped":
            source = pipes.Source(take, hand_on)
            child.sources.append(source)
            _connect_output(child, source, own if fd == -1 else fd)


def _connect_input(child, writer, fd):
    found = _described(fd)
    if isinstance(found, descriptors.ReadingEnd):
        found.pipe.set_sink(writer, child)
        return
    if found is not None:
        writer.close()
        raise descriptors.error(errno.EBADF)
    if fd == 0:
        own = border.own_stdin()
        if own is not None:
            pipes.file_to_input(_reads(own), own.subscribe, writer, own.close)
            return
    file = _File(fd, os.O_RDONLY)
    pipes.file_to_input(file.read, None, writer, file.close)


def _reads(own):
    def read(size):
        try:
            return own.read(size) or None
        except border.Closed:
            return b""

    return read


def _connect_output(child, source, fd):
    found = _described(fd)
    if isinstance(found, descriptors.WritingEnd):
        found.pipe.add_source(source)
        return
    if found is not None:
        raise descriptors.error(errno.EBADF)
    file = _File(fd, os.O_WRONLY)
    child.outputs.append(pipes.output_to_file(source, file.write, file.close))


class _File:
    """A file of the component that a child reads or writes.

    WASI cannot duplicate a descriptor, and the program may close its own while the child runs, as
    after `Popen(..., stdout=file)` at the end of a `with`. Then a descriptor of the same path takes
    its place, at the same offset.
    """

    def __init__(self, fd, flags):
        self._fd = fd
        self._spare = -1
        self._identity = None
        if fd <= 2:
            return
        self._identity = self._now()
        self._offset = self._position()
        path = paths.get(fd)
        if path is not None:
            try:
                self._spare = os.open(path, flags)
            except OSError:
                return
            if not self._same(self._spare):
                os.close(self._spare)
                self._spare = -1

    def _same(self, fd):
        try:
            other = os.fstat(fd)
        except OSError:
            return False
        return (other.st_dev, other.st_ino) == self._identity

    def _now(self):
        status = os.fstat(self._fd)
        return (status.st_dev, status.st_ino)

    def _position(self):
        try:
            return os.lseek(self._fd, 0, os.SEEK_CUR)
        except OSError:
            return None

    def _current(self):
        if self._identity is None or self._same(self._fd):
            return self._fd
        if self._spare < 0:
            raise descriptors.error(errno.EBADF)
        self._fd, self._spare = self._spare, -1
        self._identity = None
        if self._offset is not None:
            os.lseek(self._fd, self._offset, os.SEEK_SET)
        self._owned = True
        return self._fd

    _owned = False

    def read(self, size):
        data = os.read(self._current(), size)
        self._offset = self._position() if self._identity else None
        return data

    def write(self, data):
        view = memoryview(data)
        while view:
            view = view[os.write(self._current(), view) :]
            self._offset = self._position() if self._identity else None

    def close(self):
        for fd in (self._spare, self._fd if self._owned else -1):
            if fd >= 0:
                os.close(fd)
        self._spare = -1
        self._owned = False

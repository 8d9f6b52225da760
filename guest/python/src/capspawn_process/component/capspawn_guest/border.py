"""Every call of the generated bindings, and nothing else.

componentize-py aborts the component when a Python value does not have the type that the interface
declares, when an integer does not fit, when a string has a surrogate, and when a stream is dropped
before a pollable of it. Therefore this module converts and checks each value before it crosses, and a
pollable exists only during one call of `poll`: whatever a program does, and in whatever order the
garbage collector works, a stream never has a live pollable when it is dropped.

The rejected way: checks at each place that uses the bindings. One forgotten check is a trap.
"""

import errno

from .errors import Refused, refused

# 64-bit nanoseconds; a longer time is as good as for ever.
_LONGEST_NS = 2**63 - 1
# The most that one read or write of a pipe moves, in bytes: the size of a pipe.
CHUNK = 65536

# The longest argument vector and environment that are worth sending, in bytes. The host's own limit
# is lower; this one keeps the copy within the component's memory.
_MOST_TEXT = 64 * 1024 * 1024


class _Bindings:
    """The modules that componentize-py generated, loaded at the first use.

    `sitecustomize` runs before componentize-py adds them.
    """

    def __getattr__(self, name):
        import importlib

        module = importlib.import_module(f"wit_world.imports.{name}")
        setattr(self, name, module)
        return module

    def optional(self, name):
        """Returns a module that a world may leave out, or None."""
        try:
            return getattr(self, name)
        except ImportError:
            return None


_wit = _Bindings()


def _err():
    from componentize_py_types import Err

    return Err


def load():
    """Loads the bindings, so that they are in the component and not looked for at its start."""
    for name in ("types", "spawn", "poll", "streams", "monotonic_clock"):
        getattr(_wit, name)
    for name in ("stdin", "exit"):
        _wit.optional(name)
    _err()


def _text(value):
    """Returns bytes as a string that may cross, or None if they are not UTF-8."""
    try:
        return bytes(value).decode("utf-8")
    except UnicodeDecodeError:
        return None


def _duration(nanoseconds):
    return max(0, min(int(nanoseconds), _LONGEST_NS))


def now():
    """Returns the monotonic clock, in nanoseconds."""
    return _wit.monotonic_clock.now()


def wait(subscriptions, timeout_ns=None):
    """Blocks until one of the subscriptions is ready or the time has passed.

    `subscriptions` are functions that return a pollable. Returns whether one of them is ready.
    """
    global _waiting
    pollables = []
    gone = False
    _waiting = True
    try:
        for subscribe in subscriptions:
            pollable = subscribe()
            if pollable is None:
                # The garbage collector closed it just now.
                gone = True
            else:
                pollables.append(pollable)
        if gone:
            return True
        if timeout_ns is not None:
            pollables.append(_wit.monotonic_clock.subscribe_duration(_duration(timeout_ns)))
        if not pollables:
            # `poll` of an empty list aborts the component.
            raise OSError(errno.EDEADLK, "nothing can end this wait")
        ready = _wit.poll.poll(pollables)
        timer = len(pollables) - 1 if timeout_ns is not None else -1
        return any(index != timer for index in ready)
    finally:
        for pollable in pollables:
            pollable.__exit__(None, None, None)
        _waiting = False
        while _dropped_meanwhile:
            _dropped_meanwhile.pop().__exit__(None, None, None)


# The garbage collector may run inside `wait` and close a stream whose pollable is in use. Such a stream
# is dropped after the pollables.
_waiting = False
_dropped_meanwhile = []


class Closed(Exception):
    """The stream has ended: end of file of a reader, a broken pipe of a writer."""


def _stream_error(error):
    """Raises what a failed stream operation means."""
    value = error.value
    if type(value).__name__ == "StreamError_LastOperationFailed":
        with value.value as reason:
            code = _wit.spawn.process_error_code(reason)
            detail = reason.to_debug_string()
        if code is not None and type(code).__name__ != "ErrorCode_BrokenPipe":
            failure = refused(code)
            raise OSError(failure.errno, failure.reason) from None
        if code is None:
            raise OSError(errno.EIO, detail) from None
    raise Closed from None


class _Stream:
    """A stream of the host, which is dropped once."""

    def __init__(self, stream):
        self._stream = stream

    @property
    def closed(self):
        return self._stream is None

    def subscribe(self):
        """Returns a pollable, or None. Only `wait` calls this, and drops it before it returns."""
        return self._stream.subscribe() if self._stream is not None else None

    def close(self):
        stream, self._stream = self._stream, None
        if stream is None:
            return
        if _waiting:
            _dropped_meanwhile.append(stream)
        else:
            stream.__exit__(None, None, None)


class Reader(_Stream):
    """The reading end of a pipe whose other end a child has."""

    def read(self, size):
        """Returns the bytes that are there, at most `size`; none if the stream would block.

        Raises `Closed` at the end of the file.
        """
        if self._stream is None:
            raise Closed
        try:
            return self._stream.read(max(1, min(int(size), CHUNK)))
        except _err() as error:
            self.close()
            _stream_error(error)


class Writer(_Stream):
    """The writing end of a pipe whose other end a child has."""

    def room(self):
        """Returns how many bytes a write takes now. Raises `Closed` if the child closed its end."""
        if self._stream is None:
            raise Closed
        try:
            return self._stream.check_write()
        except _err() as error:
            self.close()
            _stream_error(error)

    def write(self, data):
        """Writes what fits of a bytes-like object and returns the number of bytes."""
        room = min(self.room(), CHUNK, len(data))
        if room == 0:
            return 0
        try:
            self._stream.write(bytes(data[:room]))
        except _err() as error:
            self.close()
            _stream_error(error)
        return room


class Spawned:
    """A handle of a child."""

    def __init__(self, child):
        self._child = child
        self.number = child.id()

    def status(self):
        """Returns `(kind, value)` once the child has ended, or None.

        `("exited", code)`, `("signaled", number)`, or `("killed", (reason, number or None))`.
        """
        status = self._child.poll()
        if status is None:
            return None
        name = type(status).__name__
        if name == "ExitStatus_Exited":
            return ("exited", status.value)
        if name == "ExitStatus_Signaled":
            return ("signaled", status.value)
        kill = status.value
        return ("killed", (kill.reason.name.lower().replace("_", "-"), kill.signal))

    def subscribe(self):
        """Returns a pollable of the child's end, or None, for `wait`."""
        return self._child.subscribe() if self._child is not None else None

    def signal(self, name, tree=False):
        """Sends the signal of this name (`"TERMINATE"`) to the child or to its tree.

        Raises OSError.
        """
        number = getattr(_wit.types.Signal, name, None)
        if number is None:
            raise OSError(errno.EINVAL, f"the host cannot send the signal {name}")
        try:
            if tree:
                self._child.signal_tree(number)
            else:
                self._child.signal(number)
        except _err() as error:
            failure = refused(error.value)
            raise OSError(failure.errno, failure.reason) from None

    def kill_tree(self, grace_ns):
        """Sends SIGTERM to the child and all that it started, and SIGKILL after the grace."""
        self._child.kill(_duration(grace_ns))

    def usage(self):
        """Returns the peak of memory in bytes and the processor time in nanoseconds, or None each."""
        usage = self._child.usage()
        return usage.peak_memory, usage.cpu_time

    def host_pid(self):
        """Returns the host's process id if the grant discloses it."""
        return self._child.info().pid

    def stdin(self):
        return Writer(self._taken(self._child.take_stdin))

    def stdout(self):
        return Reader(self._taken(self._child.take_stdout))

    def stderr(self):
        return Reader(self._taken(self._child.take_stderr))

    @staticmethod
    def _taken(take):
        try:
            return take()
        except _err():
            # It reads as ended, and a write into it fails.
            return None

    def pass_stdout(self):
        """Returns the reading end for `Options.set_stdin_pipe`, or None if it was taken."""
        return self._pass(self._child.pass_stdout)

    def pass_stderr(self):
        return self._pass(self._child.pass_stderr)

    @staticmethod
    def _pass(take):
        try:
            return take()
        except _err():
            return None

    def close(self):
        """Drops the handle, which kills what still runs."""
        child, self._child = self._child, None
        if child is not None:
            child.__exit__(None, None, None)


class Options:
    """What a child receives. One value serves for several attempts to start it."""

    def __init__(self):
        self._options = _wit.types.SpawnOptions()

    def set_streams(self, stdin, stdout, stderr):
        """`stdin` is "null", "piped" or "passed"; an output is "null", "piped" or "merged"."""
        types = _wit.types
        if stdin != "passed":
            kind = types.Stdin_Piped() if stdin == "piped" else types.Stdin_Null()
            self._options.set_stdin(kind)
        self._options.set_stdout(types.Stdio[stdout.upper()])
        self._options.set_stderr(types.Stdio[stderr.upper()])

    def set_stdin_pipe(self, reader):
        """The standard input is another child's output, from `Spawned.pass_stdout`."""
        self._options.set_stdin_pipe(reader)

    def set_environment(self, pairs):
        """Sets the variables, pairs of bytes."""
        texts, others = [], []
        for name, value in pairs:
            name, value = _name(name), bytes(value)
            text = _text(value)
            if text is None:
                others.append((name, value))
            else:
                texts.append((name, text))
        self._options.set_env(texts)
        self._options.set_env_bytes(others)

    def set_directory(self, cwd):
        """Sets the working directory, bytes."""
        text = _text(cwd)
        if text is None:
            raise Refused(errno.ENOENT, "no directory has a name that is not UTF-8", in_directory=True)
        self._options.set_cwd(text)

    def set_arg0(self, arg0):
        """Sets `argv[0]`, bytes, if it is UTF-8."""
        text = _text(arg0)
        if text is not None:
            self._options.set_arg0(text)

    def close(self):
        options, self._options = self._options, None
        if options is not None:
            options.__exit__(None, None, None)

    def spawn(self, program, args):
        """Starts a program, with the arguments after `argv[0]`. All are bytes.

        Raises `Refused`.
        """
        if sum(map(len, args)) > _MOST_TEXT:
            raise Refused(errno.E2BIG, "the arguments are too large")
        program = _text(program)
        if program is None:
            raise Refused(errno.ENOENT, "no command has a name that is not UTF-8")
        texts = [_text(arg) for arg in args]
        # From the first that is not UTF-8 on, they cross as bytes.
        first = texts.index(None) if None in texts else len(texts)
        self._options.set_args_bytes([bytes(arg) for arg in args[first:]])
        try:
            return Spawned(_wit.spawn.Child.spawn(program, texts[:first], self._options))
        except _err() as error:
            raise refused(error.value) from None


def _name(value):
    text = _text(value)
    if text is None:
        raise Refused(errno.EINVAL, "no variable has a name that is not UTF-8")
    return text


def own_stdin():
    """Returns the component's own standard input as a reader, or None if its world has none."""
    stdin = _wit.optional("stdin")
    return Reader(stdin.get_stdin()) if stdin is not None else None


def exit_with(code):
    """Ends the component with a code from 0 to 255. Does not return."""
    exits = _wit.optional("exit")
    if exits is None:
        return
    exits.exit_with_code(int(code) & 0xFF)

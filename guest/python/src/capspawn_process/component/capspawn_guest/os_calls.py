"""What `os` and `shutil` lack in a component, over `spawning` and `children`."""

import errno
import os
import shutil
import sys

from . import border, children, descriptors, programs, spawning
from .errors import Refused

P_WAIT, P_NOWAIT = 0, 1
POSIX_SPAWN_OPEN, POSIX_SPAWN_CLOSE, POSIX_SPAWN_DUP2 = 0, 1, 2

# Wait statuses, in the form of Linux.


def WIFSIGNALED(status):
    return 0 < status & 0x7F < 0x7F


def WIFEXITED(status):
    return status & 0x7F == 0


def WIFSTOPPED(status):
    return status & 0xFF == 0x7F


def WIFCONTINUED(status):
    return status == 0xFFFF


def WEXITSTATUS(status):
    return status >> 8 & 0xFF


def WTERMSIG(status):
    return status & 0x7F


def WSTOPSIG(status):
    return status >> 8 & 0xFF


def WCOREDUMP(status):
    return False


def waitstatus_to_exitcode(status):
    if not isinstance(status, int):
        raise TypeError(f"'{type(status).__name__}' object cannot be interpreted as an integer")
    if WIFEXITED(status):
        return WEXITSTATUS(status)
    if WIFSIGNALED(status):
        return -WTERMSIG(status)
    raise ValueError(f"invalid wait status: {status}")


def wait():
    return children.waitpid(-1, 0)


def _fail(refusal, path):
    raise OSError(refusal.errno, os.strerror(refusal.errno), path) from None


def _environment(env):
    if env is None:
        return None
    return [os.fsencode(k) + b"=" + os.fsencode(v) for k, v in env.items()]


def _start(file, args, env, search, streams=(-1, -1, -1)):
    args = [os.fsencode(arg) for arg in args]
    if not args or not args[0]:
        raise ValueError("the argument vector must begin with a non-empty name")
    if any(b"\0" in arg for arg in args):
        raise ValueError("embedded null byte")
    executables = [os.fsencode(file)]
    if search and not os.path.dirname(executables[0]):
        executables = [
            os.path.join(os.fsencode(part), executables[0]) for part in os.get_exec_path(env)
        ]
    elif not os.path.dirname(executables[0]):
        executables = [os.path.join(b".", executables[0])]
    try:
        return spawning.start(executables, args, _environment(env), None, streams)
    except Refused as refusal:
        _fail(refusal, file)


def system(command):
    """os.system. Returns the wait status."""
    if isinstance(command, str):
        command = os.fsencode(command)
    if not isinstance(command, bytes):
        raise TypeError(f"expected str, bytes or os.PathLike object, not {type(command).__name__}")
    sys.audit("os.system", command)
    try:
        pid = _start("/bin/sh", ["sh", "-c", command], None, False, (0, -1, -1))
    except OSError:
        # As system() where the shell cannot run.
        return 127 << 8
    return children.waitpid(pid, 0)[1]


def _spawn(mode, file, args, env, search):
    if not isinstance(args, (tuple, list)):
        raise TypeError("argv must be a tuple or a list")
    if not args or not args[0]:
        raise ValueError("argv first element cannot be empty")
    try:
        pid = _start(file, args, env, search, (0, -1, -1))
    except OSError:
        # The forked child would exit with this code.
        pid = children.add_failed()
        if mode == P_WAIT:
            children.waitpid(pid, 0)
            return 127
        children.find(pid)._status = ("exited", 127)
        return pid
    if mode == P_NOWAIT:
        return pid
    return waitstatus_to_exitcode(children.waitpid(pid, 0)[1])


def spawnv(mode, file, args):
    return _spawn(mode, file, args, None, False)


def spawnve(mode, file, args, env):
    return _spawn(mode, file, args, env, False)


def spawnvp(mode, file, args):
    return _spawn(mode, file, args, None, True)


def spawnvpe(mode, file, args, env):
    return _spawn(mode, file, args, env, True)


def spawnl(mode, file, *args):
    return spawnv(mode, file, args)


def spawnle(mode, file, *args):
    return spawnve(mode, file, args[:-1], args[-1])


def spawnlp(mode, file, *args):
    return spawnvp(mode, file, args)


def spawnlpe(mode, file, *args):
    return spawnvpe(mode, file, args[:-1], args[-1])


def _posix_spawn(path, argv, env, file_actions, search):
    streams = [0, 1, 2]
    opened = []
    try:
        for action in file_actions or ():
            kind, *rest = action
            if kind == POSIX_SPAWN_OPEN:
                fd, name, flags, mode = rest
                opened.append(os.open(name, flags, mode))
                source = opened[-1]
            elif kind == POSIX_SPAWN_DUP2:
                source, fd = rest
                source = streams[source] if 0 <= source <= 2 else source
            elif kind == POSIX_SPAWN_CLOSE:
                (fd,) = rest
                source = None
            else:
                raise TypeError("Unknown file_actions identifier")
            if fd > 2:
                if kind == POSIX_SPAWN_CLOSE:
                    continue
                raise OSError(errno.ENOTSUP, "a child receives its three standard streams only")
            if source is None:
                opened.append(descriptors.open_null())
                source = opened[-1]
            streams[fd] = source
        return _start(path, argv, env, search, tuple(streams))
    finally:
        for fd in opened:
            os.close(fd)


def _accepted(setpgroup, resetids, setsid, setsigmask, setsigdef, scheduler):
    if scheduler is not None:
        raise NotImplementedError("scheduler: the host decides how a child is scheduled")


def posix_spawn(
    path, argv, env, *, file_actions=(), setpgroup=None, resetids=False, setsid=False,
    setsigmask=(), setsigdef=(), scheduler=None,
):  # fmt: skip
    _accepted(setpgroup, resetids, setsid, setsigmask, setsigdef, scheduler)
    return _posix_spawn(path, argv, env, file_actions, False)


def posix_spawnp(
    path, argv, env, *, file_actions=(), setpgroup=None, resetids=False, setsid=False,
    setsigmask=(), setsigdef=(), scheduler=None,
):  # fmt: skip
    _accepted(setpgroup, resetids, setsid, setsigmask, setsigdef, scheduler)
    return _posix_spawn(path, argv, env, file_actions, True)


def execve(file, args, env=None):
    """os.execve: starts the program, waits, and ends the component as the program ended."""
    pid = _start(file, list(args), env, False, (0, -1, -1))
    code = waitstatus_to_exitcode(children.waitpid(pid, 0)[1])
    exit_now(128 - code if code < 0 else code)


def execv(file, args):
    execve(file, args)


def exit_now(code):
    """os._exit."""
    border.exit_with(code)


def which(cmd, mode=os.F_OK | os.X_OK, path=None, *, _files=shutil.which):
    """shutil.which: a file that the component sees, or a command of the grant."""
    found = _files(cmd, mode, path)
    if found is not None or not cmd or not mode & os.X_OK:
        return found
    if os.path.dirname(cmd):
        return cmd if programs.exists(cmd) else None
    if path is None:
        path = os.environ.get("PATH", os.defpath)
    directories = [part for part in os.fsdecode(path).split(os.pathsep) if part]
    if not directories or not programs.exists(cmd):
        return None
    # Each command of the grant is in every directory of the path.
    joined = os.path.join(directories[-1], os.fsdecode(cmd))
    return os.fsencode(joined) if isinstance(cmd, bytes) else joined


def getpgid(pid):
    return children.group_of(pid)


def setpgid(pid, group):
    """os.setpgid, which the host refuses: `process_group` of subprocess sets it for a child."""
    raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))


def getppid():
    return 0


_REASONS = {
    "fork": "a component cannot be duplicated: start programs with subprocess",
    "forkpty": "a component cannot be duplicated: start programs with subprocess",
    "register_at_fork": "a component never forks",
    "openpty": "a component has no terminals",
    "setsid": "a component is no process: start_new_session of subprocess sets it for a child",
}


def missing(name):
    """The `__getattr__` of `os`: why a function is not there."""
    reason = _REASONS.get(name)
    message = f"module 'os' has no attribute {name!r}"
    raise AttributeError(f"{message}: {reason}" if reason else message, name=name, obj=os)


def install():
    """Puts all of it into `os`, `posix` and `shutil`."""
    import posix

    wanted = {
        name: value
        for name, value in globals().items()
        if (name[0] == "W" or name.startswith(("spawn", "posix_spawn", "exec", "wait")))
        and callable(value)
    }
    wanted.update(
        system=system, _exit=exit_now, getpgid=getpgid, setpgid=setpgid, getsid=getpgid, getppid=getppid,
        waitpid=children.waitpid, kill=children.kill, killpg=children.killpg,
        pidfd_open=children.pidfd_open, pipe=descriptors.pipe,
        P_WAIT=P_WAIT, P_NOWAIT=P_NOWAIT, P_NOWAITO=P_NOWAIT, WNOHANG=1, WUNTRACED=2,
        WCONTINUED=8, POSIX_SPAWN_OPEN=POSIX_SPAWN_OPEN, POSIX_SPAWN_CLOSE=POSIX_SPAWN_CLOSE,
        POSIX_SPAWN_DUP2=POSIX_SPAWN_DUP2,
    )  # fmt: skip
    for name, value in wanted.items():
        for module in (os, posix):
            setattr(module, name, value)
        if name not in os.__all__ and not name.startswith("_"):
            os.__all__.append(name)
    os.__getattr__ = missing
    shutil.which = which



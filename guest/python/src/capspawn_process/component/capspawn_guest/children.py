"""The component's children: waitpid, kill, and what remains of a child that has ended."""

import errno
import os
import signal
import sys

from . import waiting
from .descriptors import ProcessEnd, error, install

# Children that have not been waited for, by number. Numbers are the component's own: they begin far
# above the component's process id, and are not those of the host.
_children = {}
_FIRST_PID = 1000
_next = _FIRST_PID

# Signals by the name that the interface has for them. A component cannot send another one.
_NAMES = {
    "SIGHUP": "HANGUP",
    "SIGINT": "INTERRUPT",
    "SIGQUIT": "QUIT",
    "SIGTERM": "TERMINATE",
    "SIGKILL": "KILL",
    "SIGUSR1": "USER1",
    "SIGUSR2": "USER2",
    "SIGSTOP": "STOP",
    "SIGCONT": "CONTINUE",
    "SIGWINCH": "WINDOW_CHANGE",
    "SIGALRM": "ALARM",
    "SIGPIPE": "BROKEN_PIPE",
}
_SIGNALS = {getattr(signal, name): wit for name, wit in _NAMES.items() if hasattr(signal, name)}

# What ends a child that reaches a limit, in the way of setrlimit.
_OF_REASON = {"cpu-time": signal.SIGXCPU, "file-size": signal.SIGXFSZ}

# The numbers of Linux: a wait status is the host's.
_NO_HANG = 1


class Child:
    """A child that has not been waited for."""

    def __init__(self, spawned, pid, leader):
        self.pid = pid
        # Whether it leads a session or a group: `killpg` then reaches its whole tree.
        self.leader = leader
        self._spawned = spawned
        self._status = None
        # Movers of its output, whose bytes are in place before the end is reported.
        self.outputs = []
        # Streams that nobody has taken yet.
        self.sources = []

    def running(self):
        return self.raw() is None

    @property
    def subscribe(self):
        return self._spawned.subscribe

    def raw(self):
        """Returns how it ended, or None. See `border.Spawned.status`."""
        if self._status is None and self._spawned is not None:
            self._status = self._spawned.status()
        return self._status

    def status(self):
        """Returns the status for `waitpid` once the child has ended and its output is in place."""
        raw = self.raw()
        if raw is None:
            return None
        if any(not mover.done for mover in self.outputs):
            waiting.move_all()
            if any(not mover.done for mover in self.outputs):
                return None
        kind, value = raw
        if kind == "exited":
            return (value & 0xFF) << 8
        if kind == "signaled":
            return value & 0x7F
        reason, number = value
        # A limit is reported as setrlimit reports it: by its own signal, where it has one.
        return int(_OF_REASON.get(reason) or number or signal.SIGKILL) & 0x7F

    def subscriptions(self):
        if self.raw() is None:
            return [self._spawned.subscribe]
        # The movers' own subscriptions follow.
        return []

    def kill(self, number, tree):
        """Sends a signal. Raises OSError."""
        if number == 0 or self.raw() is not None:
            return
        if number == signal.SIGKILL:
            # All that it started ends too, now and not at the wait.
            self._spawned.kill_tree(0)
            return
        name = _SIGNALS.get(number)
        if name is None:
            raise OSError(errno.EINVAL, f"the host cannot send signal {number} to a child")
        self._spawned.signal(name, tree)

    def forget(self):
        """Drops the handle; streams that were not taken stay readable."""
        for source in self.sources:
            if not source.ended and not source.taken:
                source.take()
        spawned, self._spawned = self._spawned, None
        if spawned is not None:
            spawned.close()


def add(spawned, leader=False):
    """Adds a child that runs. Returns it."""
    global _next
    _next += 1
    child = Child(spawned, _next, leader)
    _children[child.pid] = child
    return child


def add_failed():
    """Adds a child that never ran, as a fork whose exec failed. Returns its number."""
    child = add(None)
    child._status = ("exited", 255)
    return child.pid


def find(pid):
    """Returns a child. Raises ChildProcessError."""
    if not isinstance(pid, int):
        raise TypeError(f"'{type(pid).__name__}' object cannot be interpreted as an integer")
    child = _children.get(pid)
    if child is None:
        raise error(errno.ECHILD)
    return child


def waitpid(pid, options):
    """os.waitpid."""
    if not isinstance(options, int):
        raise TypeError(f"'{type(options).__name__}' object cannot be interpreted as an integer")
    candidates = list(_children.values()) if pid in (-1, 0) else [find(pid)]
    if not candidates:
        raise error(errno.ECHILD)

    ended = []

    def one_ended():
        ended[:] = [child for child in candidates if child.status() is not None]
        return bool(ended)

    if options & _NO_HANG:
        waiting.move_all()
        if not one_ended():
            return (0, 0)
    else:
        waiting.until(
            one_ended, lambda: [each for child in candidates for each in child.subscriptions()]
        )
    child = ended[0]
    status = child.status()
    del _children[child.pid]
    reasons[child.pid] = child.raw()
    if len(reasons) > 1024:
        del reasons[next(iter(reasons))]
    child.forget()
    return (child.pid, status)


# How the last children ended, as the host reports it: see `kill_reason`.
reasons = {}


def kill_reason(pid):
    """Returns why the host ended a child ("timeout", "memory", ...), or None if it did not."""
    child = _children.get(pid)
    raw = child.raw() if child is not None else reasons.get(pid)
    return raw[1][0] if raw is not None and raw[0] == "killed" else None


def kill(pid, number):
    """os.kill, of the component's own children and of the component itself."""
    if not isinstance(pid, int) or not isinstance(number, int):
        raise TypeError("an integer is required")
    if not 0 <= number < signal.NSIG:
        raise error(errno.EINVAL)
    if pid == os.getpid():
        if number:
            _signal_self(number)
        return
    child = _children.get(pid)
    if child is None:
        raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH))
    child.kill(number, tree=False)


def _signal_self(number):
    if signal.getsignal(number) is signal.SIG_DFL:
        sys.stdout.flush()
        os._exit(128 + number)
    signal.raise_signal(number)


def killpg(group, number):
    """os.killpg, of a child that was started with `start_new_session` or `process_group=0`."""
    child = _children.get(group)
    if child is None or not child.leader:
        raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH))
    child.kill(number, tree=True)


def group_of(pid):
    """os.getpgid and os.getsid."""
    if pid == 0 or pid == os.getpid():
        return os.getpid()
    child = _children.get(pid)
    if child is None:
        raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH))
    return pid if child.leader else os.getpid()


def pidfd_open(pid, flags=0):
    """os.pidfd_open."""
    if pid == os.getpid():
        # asyncio tries this to see whether the call exists.
        return install(ProcessEnd(_Self()))
    child = _children.get(pid)
    if child is None:
        raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH))
    return install(ProcessEnd(child))


class _Self:
    def status(self):
        return None

    def subscriptions(self):
        return []


def any_running():
    return any(child.raw() is None for child in _children.values())

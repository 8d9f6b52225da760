"""select.select and select.poll over the descriptors of the component.

`selectors`, and so `subprocess` and `asyncio`, are built on these two. Files of the component are
always ready, and its standard input is ready when the host has bytes of it.
"""

import errno
import math
import select as _select

from . import border, descriptors, waiting

POLLIN = getattr(_select, "POLLIN", 1)
POLLPRI = getattr(_select, "POLLPRI", 2)
POLLOUT = getattr(_select, "POLLOUT", 4)
POLLERR = getattr(_select, "POLLERR", 8)
POLLHUP = getattr(_select, "POLLHUP", 16)
POLLNVAL = getattr(_select, "POLLNVAL", 32)

_stdin = None


def _own_stdin():
    """The component's standard input, kept for its pollable alone."""
    global _stdin
    if _stdin is None:
        _stdin = border.own_stdin() or False
    return _stdin or None


def _fileno(file):
    if isinstance(file, int):
        fd = file
    else:
        try:
            fd = file.fileno()
        except AttributeError:
            raise TypeError("argument must be an int, or have a fileno() method.") from None
        if not isinstance(fd, int):
            raise TypeError("fileno() returned a non-integer")
    if fd < 0:
        raise ValueError(f"file descriptor cannot be a negative integer ({fd})")
    return fd


class _Watch:
    """One descriptor and the events that are waited for."""

    def __init__(self, fd, events):
        self.fd = fd
        self.events = events
        self._stdin_ready = False

    def ready(self):
        """Returns the events that have occurred."""
        if not descriptors.is_ours(self.fd):
            if self.fd == 0 and _own_stdin() is not None and not self._stdin_ready:
                self._stdin_ready = border.wait([_own_stdin().subscribe], 0)
                return self.events & (POLLIN if self._stdin_ready else 0)
            return self.events & (POLLIN | POLLOUT)
        try:
            found = descriptors.description(self.fd)
        except OSError:
            return POLLNVAL
        occurred = 0
        if self.events & POLLIN and found.readable():
            occurred |= POLLIN
        if self.events & POLLOUT and found.writable():
            occurred |= POLLOUT
            found.granted = 1
        if found.broken():
            occurred |= POLLHUP if isinstance(found, descriptors.ReadingEnd) else POLLERR
        return occurred

    def subscriptions(self):
        if not descriptors.is_ours(self.fd):
            return [_own_stdin().subscribe] if self.fd == 0 and _own_stdin() else []
        found = descriptors.description(self.fd)
        waited = []
        if self.events & POLLIN:
            waited += found.read_subscriptions()
        if self.events & POLLOUT:
            waited += found.write_subscriptions()
        return waited


def _wait(watches, seconds):
    """Returns `(fd, events)` of the descriptors that are ready, or an empty list at the deadline."""
    occurred = []

    def ready():
        occurred[:] = [(w.fd, events) for w in watches if (events := w.ready())]
        return bool(occurred)

    if seconds is not None and seconds <= 0:
        waiting.move_all()
        ready()
        return occurred
    waiting.until(
        ready,
        lambda: [each for watch in watches for each in watch.subscriptions()],
        waiting.deadline_after(seconds),
    )
    return occurred


def select(rlist, wlist, xlist, timeout=None, /):
    """select.select."""
    if timeout is not None:
        if not isinstance(timeout, (int, float)) and not hasattr(timeout, "__float__"):
            raise TypeError("timeout must be a float or None")
        timeout = float(timeout)
        if timeout < 0:
            raise ValueError("timeout must be non-negative")
    reading = [(_fileno(file), file) for file in rlist]
    writing = [(_fileno(file), file) for file in wlist]
    for file in xlist:
        _fileno(file)
    events = {}
    for fd, _ in reading:
        events[fd] = POLLIN
    for fd, _ in writing:
        events[fd] = events.get(fd, 0) | POLLOUT
    occurred = dict(_wait([_Watch(fd, wanted) for fd, wanted in events.items()], timeout))
    if any(each & POLLNVAL for each in occurred.values()):
        raise descriptors.error(errno.EBADF)
    return (
        [file for fd, file in reading if occurred.get(fd, 0) & (POLLIN | POLLHUP)],
        [file for fd, file in writing if occurred.get(fd, 0) & (POLLOUT | POLLERR)],
        [],
    )


class poll:
    """What select.poll returns."""

    def __init__(self):
        self._watched = {}

    def register(self, fd, eventmask=POLLIN | POLLPRI | POLLOUT, /):
        self._watched[_fileno(fd)] = _mask(eventmask)

    def modify(self, fd, eventmask, /):
        fd = _fileno(fd)
        if fd not in self._watched:
            raise descriptors.error(errno.ENOENT)
        self._watched[fd] = _mask(eventmask)

    def unregister(self, fd, /):
        del self._watched[_fileno(fd)]

    def poll(self, timeout=None, /):
        """Waits for so many milliseconds; for ever if None or negative."""
        if timeout is not None:
            timeout = math.ceil(timeout)
            timeout = None if timeout < 0 else timeout / 1000
        return _wait([_Watch(fd, events) for fd, events in self._watched.items()], timeout)


def _mask(events):
    if not isinstance(events, int):
        raise TypeError(f"'{type(events).__name__}' object cannot be interpreted as an integer")
    if events < 0 or events > 0xFFFF:
        raise OverflowError("Python int too large to convert to C unsigned short")
    return events

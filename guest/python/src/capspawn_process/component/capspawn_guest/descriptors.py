"""Descriptors that the C library of the component does not have: pipes, children, the null device.

They have numbers from `FIRST` on, far above those of files, so that `os.read`, `os.write`,
`os.close` and their like can see by the number whose a descriptor is. The functions of this module
take the same arguments and raise the same errors as those of `os`.
"""

import errno
import os
import stat

from . import waiting
from .pipes import Pipe

FIRST = 1 << 16
# As RLIMIT_NOFILE: a leak shows before memory ends.
MOST = 65536

_table = {}
_next = FIRST


def error(number, filename=None):
    """Returns the OSError of this errno."""
    if filename is None:
        return OSError(number, os.strerror(number))
    return OSError(number, os.strerror(number), filename)


class Description:
    """An open file description, as POSIX names it: what several descriptors may share."""

    mode = stat.S_IFIFO | 0o600
    blocking = True

    def __init__(self):
        self.count = 0
        # What the next write may move after a readiness report; see `Writing.write`.
        self.granted = 0

    def opened(self):
        self.count += 1

    def closed(self):
        self.count -= 1
        if self.count == 0:
            self.end()

    def end(self):
        pass

    def read(self, size):
        raise error(errno.EBADF)

    def write(self, data):
        raise error(errno.EBADF)

    # For `select`: whether it is ready, and the functions that return a pollable.

    def readable(self):
        return False

    def writable(self):
        return False

    def broken(self):
        """Whether `poll` reports POLLERR (a writer) or POLLHUP (a reader)."""
        return False

    def read_subscriptions(self):
        return []

    def write_subscriptions(self):
        return []


class ReadingEnd(Description):
    """The reading end of a pipe."""

    def __init__(self, pipe):
        super().__init__()
        self.pipe = pipe
        pipe.readers += 1

    def end(self):
        self.pipe.readers -= 1
        self.pipe.closed_end()

    def read(self, size):
        if size == 0:
            return b""
        data = self.pipe.read(size)
        if data is None:
            if not self.blocking:
                raise error(errno.EAGAIN)
            waiting.until(self.readable, self.read_subscriptions)
            data = self.pipe.read(size)
        return data

    def readable(self):
        return self.pipe.readable()

    def broken(self):
        return self.pipe.writers == 0 and not self.pipe.sources

    def read_subscriptions(self):
        return self.pipe.read_subscriptions()


class WritingEnd(Description):
    """The writing end of a pipe."""

    def __init__(self, pipe):
        super().__init__()
        self.pipe = pipe
        pipe.writers += 1

    def end(self):
        self.pipe.writers -= 1
        self.pipe.closed_end()

    def write(self, data):
        """Writes all, as POSIX has it for a pipe that blocks.

        After `select` or `poll` reported the descriptor ready, the next write moves only what fits
        and returns its length: a write after a readiness report never blocks.
        """
        granted, self.granted = self.granted, 0
        done = 0
        while True:
            count = self.pipe.write(data[done:])
            if count < 0:
                if done:
                    return done
                raise error(errno.EPIPE)
            done += count
            if done >= len(data) or (done and (granted or not self.blocking)):
                return done
            if not self.blocking:
                raise error(errno.EAGAIN)
            waiting.until(self.writable, self.write_subscriptions)

    def writable(self):
        return self.pipe.room() != 0

    def broken(self):
        child = self.pipe.sink_child
        if child is not None and not child.running():
            # The stream reports that its reader is gone only to who tries it.
            self.pipe.room()
        return self.pipe.broken()

    def read_subscriptions(self):
        # The writing end of a pipe whose reader is gone polls as readable.
        child = self.pipe.sink_child
        return [child.subscribe] if child is not None and child.running() else []

    def write_subscriptions(self):
        return self.pipe.write_subscriptions()


class Null(Description):
    """/dev/null."""

    mode = stat.S_IFCHR | 0o666

    def read(self, size):
        return b""

    def write(self, data):
        return len(data)

    def readable(self):
        return True

    def writable(self):
        return True


class ProcessEnd(Description):
    """What `pidfd_open` returns: readable once the child has ended."""

    mode = stat.S_IFREG | 0o600

    def __init__(self, child):
        super().__init__()
        self.child = child

    def readable(self):
        return self.child.status() is not None

    def read_subscriptions(self):
        return self.child.subscriptions()


def install(description):
    """Gives a description the lowest free descriptor. Raises OSError (EMFILE)."""
    global _next
    if len(_table) >= MOST:
        raise error(errno.EMFILE)
    fd = _next
    while fd in _table:
        fd += 1
    _next = fd + 1
    _table[fd] = description
    description.opened()
    return fd


def is_ours(fd):
    return isinstance(fd, int) and fd >= FIRST


def description(fd):
    """Returns what a descriptor stands for. Raises OSError (EBADF)."""
    found = _table.get(fd)
    if found is None:
        raise error(errno.EBADF)
    return found


def close(fd):
    global _next
    found = _table.pop(fd, None)
    if found is None:
        raise error(errno.EBADF)
    _next = min(_next, fd)
    found.closed()


def pipe():
    """os.pipe."""
    both = Pipe()
    reading = install(ReadingEnd(both))
    try:
        return reading, install(WritingEnd(both))
    except OSError:
        close(reading)
        raise


def closerange(low, high):
    for fd in [fd for fd in _table if low <= fd < high]:
        close(fd)


def dup(fd):
    return install(description(fd))


def dup2(fd, other):
    """os.dup2, among descriptors of this module."""
    found = description(fd)
    if not is_ours(other):
        raise error(errno.EBADF)
    if fd != other:
        if other in _table:
            close(other)
        _table[other] = found
        found.opened()
    return other


def read(fd, size):
    if size < 0:
        raise error(errno.EINVAL)
    return description(fd).read(size)


def readinto(fd, buffer):
    view = memoryview(buffer).cast("B")
    data = description(fd).read(len(view))
    view[: len(data)] = data
    return len(data)


def write(fd, data):
    return description(fd).write(memoryview(data).cast("B"))


def fstat(fd):
    found = description(fd)
    return os.stat_result((found.mode, id(found) & 0x7FFFFFFF, 0, 1, 0, 0, 0, 0, 0, 0))


def isatty(fd):
    return False


def lseek(fd, position, whence):
    description(fd)
    raise error(errno.ESPIPE)


def ftruncate(fd, length):
    description(fd)
    raise error(errno.EINVAL)


def fsync(fd):
    description(fd)
    raise error(errno.EINVAL)


def get_blocking(fd):
    return description(fd).blocking


def set_blocking(fd, blocking):
    description(fd).blocking = bool(blocking)


_inheritable = set()


def get_inheritable(fd):
    description(fd)
    return fd in _inheritable


def set_inheritable(fd, inheritable):
    """Accepted and without effect: a child receives its three streams and nothing else."""
    description(fd)
    (_inheritable.add if inheritable else _inheritable.discard)(fd)


def open_null():
    return install(Null())

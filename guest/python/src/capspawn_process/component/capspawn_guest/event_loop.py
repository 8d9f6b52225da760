"""asyncio in a component.

The standard selector event loop stays as it is. It waits in `selectors`, which waits in `polling`,
so timers, pipes and children work; a child's end is a descriptor of `os.pidfd_open`. Three things
are different, because a component has one thread and no sockets of its own: the loop wakes itself
through a pipe, `run_in_executor` runs the function at once, and no signal reaches the loop.
"""

import os


class _WakeEnd:
    """One end of the pipe by which the loop wakes itself, with the methods of a socket."""

    def __init__(self, fd):
        self._fd = fd
        os.set_blocking(fd, False)

    def fileno(self):
        return self._fd

    def recv(self, size):
        return os.read(self._fd, size)

    def send(self, data):
        return os.write(self._fd, data)

    def setblocking(self, blocking):
        os.set_blocking(self._fd, blocking)

    def close(self):
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _make_self_pipe(self):
    reading, writing = os.pipe()
    self._ssock, self._csock = _WakeEnd(reading), _WakeEnd(writing)
    self._internal_fds += 1
    self._add_reader(self._ssock.fileno(), self._read_from_self)


def _add_signal_handler(self, sig, callback, *args):
    self._check_signal(sig)
    self._check_closed()
    raise RuntimeError("no signal reaches a component")


def _run_in_executor(self, executor, func, *args):
    self._check_closed()
    if executor is not None:
        return _native_run_in_executor(self, executor, func, *args)
    future = self.create_future()
    try:
        result = func(*args)
    except Exception as error:
        future.set_exception(error)
    else:
        future.set_result(result)
    return future


_native_run_in_executor = None


def install():
    global _native_run_in_executor
    from asyncio import base_events, selector_events, unix_events

    selector_events.BaseSelectorEventLoop._make_self_pipe = _make_self_pipe
    unix_events._UnixSelectorEventLoop.add_signal_handler = _add_signal_handler
    _native_run_in_executor = base_events.BaseEventLoop.run_in_executor
    base_events.BaseEventLoop.run_in_executor = _run_in_executor


def release():
    """Removes the loop that componentize-py's support for async functions leaves as running.

    It has neither timers nor pipes, and `asyncio.run` refuses to run in it.
    """
    from asyncio import events

    events._set_running_loop(None)
    try:
        events.set_event_loop(None)
    except Exception:
        pass

"""Puts the library under the standard modules, once, when the component is built."""

import builtins
import errno
import io
import os
import select
import sys
import time
import types

from . import children, descriptors, event_loop, files, os_calls, polling, spawning, waiting

_done = False


def _dispatch(name, replacement):
    """Lets `os.NAME` call the replacement for descriptors of ours."""
    import posix

    native = getattr(os, name)

    def call(fd, *args, **options):
        if isinstance(fd, int) and fd >= descriptors.FIRST:
            return replacement(fd, *args, **options)
        return native(fd, *args, **options)

    call.__name__ = call.__qualname__ = name
    call.__doc__ = native.__doc__
    setattr(os, name, call)
    setattr(posix, name, call)


def install():
    """Replaces what starts programs and waits. Has no effect when it is called again."""
    global _done
    if _done or sys.platform != "wasi":
        return
    _done = True
    import posix

    native_stat, native_closerange = os.stat, os.closerange
    for name in (
        "read", "readinto", "write", "close", "dup", "fstat", "isatty", "lseek", "ftruncate",
        "fsync", "get_blocking", "set_blocking", "get_inheritable", "set_inheritable",
    ):  # fmt: skip
        if hasattr(os, name):
            _dispatch(name, getattr(descriptors, name))
    os_calls.install()

    def stat(path, *args, **options):
        if isinstance(path, int) and path >= descriptors.FIRST:
            return descriptors.fstat(path)
        return native_stat(path, *args, **options)

    def closerange(low, high, /):
        descriptors.closerange(low, high)
        if low < descriptors.FIRST:
            native_closerange(low, min(high, descriptors.FIRST - 1))

    for module in (os, posix):
        module.stat, module.closerange, module.open = stat, closerange, files.open_fd
    os.supports_fd.add(stat)
    os.supports_follow_symlinks.add(stat)
    os.supports_dir_fd.update({stat, files.open_fd})
    if not hasattr(os, "dup2"):
        os.dup2 = posix.dup2 = _dup2
    builtins.open = io.open = files.open
    select.select, select.poll = polling.select, polling.poll
    # A pipe takes this much after a readiness report, or a part: see `descriptors.WritingEnd`.
    select.PIPE_BUF = 4096
    native_sleep = time.sleep

    def sleep(seconds, /):
        if waiting.movers and isinstance(seconds, (int, float)):
            waiting.sleep(seconds)
        else:
            native_sleep(seconds)

    time.sleep = sleep
    _subprocess()
    event_loop.install()


def _dup2(fd, other, inheritable=True):
    """os.dup2, which WASI does not have for files of the component."""
    if descriptors.is_ours(fd) and descriptors.is_ours(other):
        return descriptors.dup2(fd, other)
    raise descriptors.error(errno.EBADF if fd < 0 else errno.ENOTSUP)


def _subprocess():
    import selectors
    import subprocess

    if not hasattr(selectors, "PollSelector"):
        raise RuntimeError("selectors was loaded before the library")
    selectors.SelectSelector._select = staticmethod(polling.select)
    selectors.PollSelector._selector_cls = polling.poll
    module = types.ModuleType("_posixsubprocess", spawning.__doc__)
    module.fork_exec = spawning.fork_exec
    sys.modules["_posixsubprocess"] = module
    subprocess._can_fork_exec = True
    subprocess._fork_exec = spawning.fork_exec
    for name in ("waitpid", "waitstatus_to_exitcode", "WIFSTOPPED", "WSTOPSIG", "WNOHANG"):
        setattr(subprocess._del_safe, name, getattr(os, name))
    # A write moves what fits, so one chunk may be as large as a pipe.
    subprocess._PIPE_BUF = 65536
    subprocess.Popen._wait = _wait
    subprocess.Popen._communicate = _with_rest(subprocess.Popen._communicate)
    subprocess.Popen._get_handles = _with_paths(subprocess.Popen._get_handles)
    subprocess.Popen._execute_child = _with_reason(subprocess.Popen._execute_child)


def _with_paths(native):
    """Popen._get_handles, which sees the files whose descriptors a child receives."""

    def _get_handles(self, stdin, stdout, stderr):
        spawning.paths.clear()
        for file in (stdin, stdout, stderr):
            name = getattr(file, "name", None)
            if isinstance(name, (str, bytes)):
                try:
                    spawning.paths[file.fileno()] = os.path.abspath(name)
                except (OSError, ValueError, TypeError, AttributeError):
                    continue
        return native(self, stdin, stdout, stderr)

    return _get_handles


def _with_reason(native):
    """Popen._execute_child, whose error then also has the host's reason, as a note."""

    def _execute_child(self, *args, **options):
        spawning.last_reason.clear()
        try:
            return native(self, *args, **options)
        except OSError as error:
            for reason in spawning.last_reason:
                if reason and reason != error.strerror:
                    error.add_note(f"capspawn: {reason}")
            raise

    return _execute_child


def _with_rest(native):
    """Popen._communicate, which after a timeout also sends what is left of the input.

    That of Python 3.14 sends input in the first call only, so a child that reads to the end of its
    input never ends.
    """

    def _communicate(self, input, endtime, orig_timeout):
        if input is None and self._communication_started and self.stdin and not self.stdin.closed:
            input = self._input
        return native(self, input, endtime, orig_timeout)

    return _communicate


def _wait(self, timeout):
    """Popen._wait without its loop of short sleeps: the host reports the end."""
    if self.returncode is not None:
        return self.returncode
    import subprocess

    if timeout is None:
        while self.returncode is None:
            with self._waitpid_lock:
                pid, status = self._try_wait(0)
                if pid == self.pid:
                    self._handle_exitstatus(status)
        return self.returncode
    deadline = waiting.deadline_after(timeout)
    while True:
        with self._waitpid_lock:
            pid, status = self._try_wait(os.WNOHANG)
            if pid == self.pid:
                self._handle_exitstatus(status)
                return self.returncode
        child = children.find(self.pid)
        if not waiting.until(lambda: child.status() is not None, child.subscriptions, deadline):
            raise subprocess.TimeoutExpired(self.args, timeout)

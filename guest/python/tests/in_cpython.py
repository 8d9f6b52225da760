"""Runs one of CPython's own test modules inside a component. The grant is `cpython.toml`.

The tests look at `sys.platform` to see whether a system has processes and sockets; what they would
then skip is switched on here. Nothing of a test or of the library under test is changed. Prints one
line for each test: `RESULT name outcome`, with the reason of a skip.
"""

import asyncio
import os
import sys
import tempfile
import unittest

os.chdir(os.environ["SHARED"])
sys.executable = "/usr/bin/python3"
tempfile.tempdir = os.getcwd()

from test import support  # noqa: E402

support.has_subprocess_support = True
support.has_socket_support = True
# The data files of the tests; a component has its modules, and not their folder.
support.TEST_HOME_DIR = os.getcwd()


def _watchers_of_3_13():
    """Python 3.14, which the component has, removed child watchers. Tests of 3.13 set them up."""
    from asyncio import unix_events

    class Watcher:
        def attach_loop(self, loop):
            pass

        def close(self):
            pass

        def is_active(self):
            return True

    if hasattr(unix_events, "PidfdChildWatcher"):
        return
    unix_events.PidfdChildWatcher = Watcher
    asyncio.ThreadedChildWatcher = type("ThreadedChildWatcher", (), {})
    policy = unix_events._UnixDefaultEventLoopPolicy
    policy.get_child_watcher = lambda self: Watcher()
    policy.set_child_watcher = lambda self, watcher: None


class Result(unittest.TextTestResult):
    def _told(self, test, outcome):
        name = test.id().removeprefix(f"{sys.argv[1]}.")
        print(f"RESULT {name} {outcome}", flush=True)

    def addSuccess(self, test):
        super().addSuccess(test)
        self._told(test, "passed")

    def addError(self, test, error):
        super().addError(test, error)
        self._told(test, "failed")

    def addFailure(self, test, error):
        super().addFailure(test, error)
        self._told(test, "failed")

    def addSubTest(self, test, subtest, error):
        super().addSubTest(test, subtest, error)
        if error is not None:
            self._told(test, "failed")

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self._told(test, f"skipped {reason}")


_watchers_of_3_13()
module = __import__(sys.argv[1], fromlist=["__name__"])
module.__file__ = os.path.join(os.getcwd(), "test.py")
suite = unittest.TestLoader().loadTestsFromModule(module)
unittest.TextTestRunner(verbosity=0, resultclass=Result).run(suite)
print("END", flush=True)

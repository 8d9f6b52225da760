"""The component's entry: runs a Python program as `python PROGRAM` runs it.

The build writes a small module that calls `prepare` and has the class `Run`. The program's own code
runs when the component runs, not when it is built.
"""

import builtins
import os
import sys
import types

from . import border, event_loop, frozen, install, spawning

_main = None
_file = None


def prepare(file, source, include=(), roots=()):
    """Compiles the program and collects what it imports. Called while the component is built."""
    global _main, _file
    install.install()
    border.load()
    frozen.install()
    _file = file
    _main = frozen.main_code(file, source)
    for name in frozen.collect(source, file, "", roots, include):
        try:
            __import__(name)
        except Exception:
            # The program meets the same error, when it runs.
            continue
    frozen.forget_loaded()


def _restore_path():
    """The folders of the build are gone; those of PYTHONPATH are as they are now."""
    sys.path[:] = [part for part in os.environ.get("PYTHONPATH", "").split(os.pathsep) if part]
    sys.path_importer_cache.clear()


def _exit_code(error):
    code = error.code
    if code is None:
        return 0
    if isinstance(code, int):
        return code & 0xFF
    print(code, file=sys.stderr)
    return 1


def run():
    """Runs the program and returns its exit code."""
    event_loop.release()
    spawning.started()
    _restore_path()
    main = types.ModuleType("__main__")
    main.__file__ = _file
    main.__builtins__ = builtins
    main.__spec__ = None
    sys.modules["__main__"] = main
    try:
        exec(_main, main.__dict__)
        code = 0
    except SystemExit as error:
        code = _exit_code(error)
    except KeyboardInterrupt:
        code = 130
    except BaseException as error:
        error.__traceback__ = error.__traceback__ and error.__traceback__.tb_next
        sys.excepthook(type(error), error, error.__traceback__)
        code = 1
    return _finish(code)


def _finish(code):
    import atexit

    try:
        atexit._run_exitfuncs()
    except Exception:
        code = code or 1
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:
            code = code or 120
    return code


def run_and_exit():
    """The export `wasi:cli/run`."""
    code = run()
    if code:
        border.exit_with(code)
    return code

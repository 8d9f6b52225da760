"""A component that runs the script that its first argument names, from a folder of `--dir`."""

import sys

# What the scripts import, so that it is in the component.
import asyncio, errno, io, json, os, random, select, shlex, shutil, signal  # noqa: E401, F401, I001
import subprocess, tempfile, time, traceback, unittest  # noqa: E401, F401

_file = sys.argv[1]
del sys.argv[0]
with open(_file, encoding="utf-8") as _stream:
    _code = compile(_stream.read(), _file, "exec")
_main = sys.modules["__main__"]
_main.__file__ = _file
exec(_code, _main.__dict__)

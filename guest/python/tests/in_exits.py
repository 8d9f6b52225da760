"""Ends in the way that its argument names. Runs inside a component; the grant is `behaviour.toml`."""

import atexit
import os
import sys

atexit.register(print, "at exit")
way = sys.argv[1]
if way == "exec":
    os.execvp("sh", ["sh", "-c", "echo replaced; exit 7"])
elif way == "signal":
    os.execvp("sh", ["sh", "-c", "kill -9 $$"])
elif way == "exit":
    sys.exit(3)
elif way == "text":
    sys.exit("an error in words")
elif way == "at once":
    os._exit(5)
elif way == "uncaught":
    raise KeyError(way)

"""Sends so many megabytes to `cat` and back, with `subprocess.run`. Runs inside a component."""

import subprocess
import sys

data = b"x" * (int(sys.argv[1]) * 1_000_000)
if subprocess.run(["cat"], input=data, stdout=subprocess.PIPE).stdout != data:
    sys.exit(1)

"""The shortest way: one call runs a program to its end.

Usage: run-once PROGRAM [ARGS]...
"""

import subprocess
import sys

if len(sys.argv) < 2:
    sys.exit("usage: run-once PROGRAM [ARGS]...")
command = sys.argv[1:]
try:
    result = subprocess.run(command, stdout=subprocess.PIPE)
except OSError as error:
    # The grant does not list the program, or refuses an argument; the operator sees which.
    print(f"{command[0]} did not run: {error.strerror}")
else:
    # A program that ran and failed is a result, not an error.
    sys.stdout.buffer.write(result.stdout)
    code = result.returncode
    print(command[0], f"exited with {code}" if code >= 0 else f"was ended by signal {-code}")

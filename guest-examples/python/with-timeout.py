"""Sets a time limit, and distinguishes a timeout from a crash.

Usage: with-timeout MILLISECONDS PROGRAM [ARGS]...
"""

import subprocess
import sys

milliseconds, *command = sys.argv[1:]
try:
    # The grant's limit still applies: a component can request less time, but not more.
    result = subprocess.run(command, timeout=int(milliseconds) / 1000)
except subprocess.TimeoutExpired:
    print("too slow")
except OSError as error:
    print(f"{command[0]} did not run: {error.strerror}")
else:
    if result.returncode == 0:
        print("in time")
    elif result.returncode > 0:
        print(f"failed in time: exited with {result.returncode}")
    else:
        print(f"failed in time: was ended by signal {-result.returncode}")

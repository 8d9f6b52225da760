"""Connects children without a shell: the output of one is the input of the next.

Usage: pipeline PROGRAM [ARGS]... [: PROGRAM [ARGS]...]...
"""

import subprocess
import sys

commands = [[]]
for word in sys.argv[1:]:
    if word == ":":
        commands.append([])
    else:
        commands[-1].append(word)
if not all(commands):
    sys.exit("usage: pipeline PROGRAM [ARGS]... [: PROGRAM [ARGS]...]...")

children = []
source = None
for number, command in enumerate(commands, 1):
    out = subprocess.PIPE if number < len(commands) else None
    try:
        child = subprocess.Popen(command, stdin=source, stdout=out)
    except OSError as error:
        sys.exit(f"pipeline: {command[0]}: {error.strerror}")
    if source is not None:
        # The next child has it now, and the one before ends if the next one stops reading.
        source.close()
    source = child.stdout
    children.append(child)

# As with `pipefail` in a shell, one failed program fails the pipeline.
failed = [child for child in children if child.wait() != 0]
for child in failed:
    print(f"pipeline: {child.args[0]} returned {child.returncode}", file=sys.stderr)
sys.exit(bool(failed))

"""A filter: copies standard input to a program, and its output to standard output.

Usage: pipe-through PROGRAM [ARGS]...

Both directions run at once and may have any length; the pipes are the only buffers.
"""

import asyncio
import sys
from asyncio.subprocess import PIPE

CHUNK = 65536


async def feed(child):
    """Copies this component's input to the child, until one of them ends."""
    try:
        while data := sys.stdin.buffer.read1(CHUNK):
            child.stdin.write(data)
            await child.stdin.drain()
        child.stdin.close()
        await child.stdin.wait_closed()
    except (BrokenPipeError, ConnectionResetError):
        # The program has ended and wants no more input.
        return


async def main(command):
    try:
        child = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE)
    except OSError as error:
        return f"pipe-through: {command[0]}: {error.strerror}"
    feeding = asyncio.create_task(feed(child))
    while data := await child.stdout.read(CHUNK):
        sys.stdout.buffer.write(data)
    await feeding
    code = await child.wait()
    return code if code >= 0 else f"pipe-through: {command[0]} was ended by signal {-code}"


sys.exit(asyncio.run(main(sys.argv[1:])))

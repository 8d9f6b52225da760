"""Runs several children at once, and waits for all of them in one place.

Usage: many-children PROGRAM ARG... starts PROGRAM once for each ARG, and prints the results in the
order in which the children end.
"""

import asyncio
import sys

program, *args = sys.argv[1:]


async def run(arg):
    child = await asyncio.create_subprocess_exec(program, arg)
    return arg, await child.wait()


async def main():
    for job in asyncio.as_completed([run(arg) for arg in args]):
        try:
            arg, code = await job
        except OSError as error:
            # The children that run end with this component.
            return f"{program}: {error.strerror}"
        ending = f"exited with {code}" if code >= 0 else f"was ended by signal {-code}"
        print(f"{program} {arg}: {ending}", flush=True)


sys.exit(asyncio.run(main()))

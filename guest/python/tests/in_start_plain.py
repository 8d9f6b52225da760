"""`in_start` without the library."""

import asyncio  # noqa: F401
import subprocess  # noqa: F401

from wit_world import exports


class Run(exports.Run):
    def run(self):
        pass

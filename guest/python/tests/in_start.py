"""The smallest program. Runs inside a component."""

import asyncio  # noqa: F401
import subprocess  # noqa: F401

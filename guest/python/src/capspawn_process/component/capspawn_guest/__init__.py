"""Programs of the host for Python inside a component.

The standard `subprocess`, `os` and `asyncio` start programs once this package is installed, which
`sitecustomize` does. Of its own it offers what they lack.
"""

from .children import kill_reason

__all__ = ["kill_reason"]

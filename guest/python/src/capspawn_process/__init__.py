"""Builds WebAssembly components from Python programs that start other programs.

The command `capspawn-python build` and the function `build` do the same. What is in the component
is the folder `component`, which goes onto the component's own path.
"""

from pathlib import Path

from .build import BuildError, build

__all__ = ["COMPONENT_PATH", "WIT_PATH", "WORLD", "BuildError", "build"]

#: The folder for the path of a component that is built with componentize-py itself.
COMPONENT_PATH = Path(__file__).parent / "component"
#: The interfaces that such a component imports.
WIT_PATH = Path(__file__).parent / "wit"
#: The world in `WIT_PATH` of a program that `wasi:cli/run` runs.
WORLD = "program"

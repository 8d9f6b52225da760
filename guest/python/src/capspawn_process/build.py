"""From a Python program to a component."""

import argparse
import os
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

_HERE = Path(__file__).parent

_ENTRY = '''\
import capspawn_guest.program as program
from wit_world import exports

program.prepare({file!r}, {source!r}, {include!r}, {roots!r})


class Run(exports.Run):
    def run(self):
        if program.run_and_exit():
            from componentize_py_types import Err

            raise Err(None)
'''


class BuildError(Exception):
    """componentize-py did not build the component. The text is its own."""


def build(script, output, *, path=(), include=(), wit=(), worlds=()):
    """Builds a component that runs a Python program.

    `script` is the program's file, and its folder is the first place where its imports are found.
    `path` are further folders, such as that of `pip install --target`. `include` are modules that
    the program imports by a name that it computes; `"package.*"` is the whole package. `wit` and
    `worlds` are further interfaces, which the component then imports or exports too.

    Raises OSError if a file cannot be read or written, and `BuildError`.
    """
    script = Path(script).resolve()
    source = script.read_bytes()
    folders = [script.parent, *(Path(folder).resolve() for folder in path)]
    for folder in folders:
        if not folder.is_dir():
            raise NotADirectoryError(20, "no folder of modules", str(folder))
    if sys.prefix != sys.base_prefix:
        folders.append(Path(sysconfig.get_path("purelib")))
    with tempfile.TemporaryDirectory(prefix="capspawn-python-") as name:
        stage = Path(name)
        # componentize-py adds the packages of the environment that it runs in. The program's own
        # folders come first, and this empty one takes the place of the machine's.
        (stage / "environment/lib/site-packages").mkdir(parents=True)
        (stage / "entry").mkdir()
        mounts = [stage / "entry", _HERE / "component", *folders]
        # componentize-py mounts the folders of the path as /0, /1 and so on.
        roots = [f"/{number}" for number in range(2, len(mounts))]
        entry = _ENTRY.format(
            file=f"/2/{script.name}", source=source, include=tuple(include), roots=roots
        )
        (stage / "entry/capspawn_entry.py").write_text(entry)
        command = ["-d", _HERE / "wit", *_each("-d", wit)]
        command += ["-w", "capspawn:python/program", *_each("-w", worlds)]
        command += ["componentize", "-o", Path(output).resolve()]
        command += [*_each("-p", mounts), "capspawn_entry"]
        _componentize(command, stage / "environment")


def _each(option, values):
    return [part for value in values for part in (option, value)]


def _componentize(arguments, environment):
    """Runs the componentize-py of this interpreter's own environment."""
    runner = "import sys, componentize_py; sys.exit(componentize_py.script())"
    result = subprocess.run(
        [sys.executable, "-c", runner, *map(str, arguments)],
        env={**os.environ, "VIRTUAL_ENV": str(environment), "RUST_BACKTRACE": "0"},
        capture_output=True,
        text=True,
    )
    if result.returncode != 0:
        raise BuildError(result.stderr.strip() or result.stdout.strip())


def main(arguments=None):
    """The command `capspawn-python`. Returns its exit code."""
    parser = argparse.ArgumentParser(
        prog="capspawn-python",
        description="Build a WebAssembly component from a Python program that starts programs.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("build", help="build a component for `capspawn run`")
    one.add_argument("script", help="the program, a file of Python source")
    one.add_argument("-o", "--output", help="the component [default: the script's name with .wasm]")
    one.add_argument(
        "-p", "--path", action="append", default=[], metavar="FOLDER",
        help="a folder of modules, as of `pip install --target FOLDER` (repeatable)",
    )  # fmt: skip
    one.add_argument(
        "-i", "--include", action="append", default=[], metavar="MODULE",
        help="a module that the program imports by a computed name; `package.*` for all of a "
        "package (repeatable)",
    )  # fmt: skip
    one.add_argument(
        "-d", "--wit", action="append", default=[], metavar="PATH", help="further interfaces"
    )
    one.add_argument(
        "-w", "--world", action="append", default=[], metavar="WORLD",
        help="a world of the further interfaces",
    )  # fmt: skip
    commands.add_parser("paths", help="print the folders for a build with componentize-py itself")
    options = parser.parse_args(arguments)
    if options.command == "paths":
        print(f"path: {_HERE / 'component'}\nwit:  {_HERE / 'wit'}")
        return 0
    output = options.output or Path(options.script).with_suffix(".wasm").name
    try:
        build(
            options.script, output, path=options.path, include=options.include,
            wit=options.wit, worlds=options.world,
        )  # fmt: skip
    except (OSError, BuildError) as error:
        print(f"capspawn-python: {error}", file=sys.stderr)
        return 1
    return 0

"""The tools of the tests: an environment with the package, components that are built once, and runs."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).parent
PACKAGE = HERE.parent
ROOT = PACKAGE.parents[1]
TARGET = ROOT / "target/python"
EXAMPLES = ROOT / "guest-examples/python"
CAPSPAWN = os.environ.get("CAPSPAWN", str(ROOT / "target/debug/capspawn"))


class Failure(Exception):
    """A test has failed. The text states which and how."""


def check(condition, text):
    if not condition:
        raise Failure(text)


def sources():
    return sorted(path for path in PACKAGE.joinpath("src").rglob("*") if path.suffix in (".py", ".wit"))


def digest(*files, words=()):
    """Returns a hash of files and words."""
    state = hashlib.sha256(repr(words).encode())
    for file in files:
        state.update(str(file).encode() + Path(file).read_bytes())
    return state.hexdigest()[:16]


@contextmanager
def locked(name):
    """One test at a time makes the same thing."""
    TARGET.joinpath("locks").mkdir(parents=True, exist_ok=True)
    with open(TARGET / "locks" / name, "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _call(*command, **options):
    words = [str(part) for part in command]
    both = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    result = subprocess.run(words, **both, **options)
    check(result.returncode == 0, f"{' '.join(map(str, command[:4]))}:\n{result.stdout}")
    return result.stdout


def _stamped(folder, stamp, make):
    """Makes a folder anew unless it was made from the same inputs."""
    mark = folder / ".stamp"
    if mark.exists() and mark.read_text() == stamp:
        return
    shutil.rmtree(folder, ignore_errors=True)
    make()
    mark.write_text(stamp)


def environment():
    """Returns the folder of an environment in which this package is installed."""
    folder = TARGET / "environment"
    pins = PACKAGE / "requirements.txt"

    def make():
        _call(sys.executable, "-m", "venv", folder)
        pip = folder / "bin/pip"
        _call(pip, "install", "--quiet", "--require-hashes", "--no-deps", "-r", pins)
        with tempfile.TemporaryDirectory() as copy:
            # A build leaves folders behind, and the package's own stays clean.
            package = Path(copy) / "python"
            shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("build", "*.egg-info"))
            _call(pip, "install", "--quiet", "--no-deps", "--no-build-isolation", package)

    with locked("environment"):
        _stamped(folder, digest(pins, PACKAGE / "pyproject.toml", *sources()), make)
    return folder


def programs():
    """Returns a folder with the programs of PyPI."""
    folder = TARGET / "programs"
    pins = HERE / "programs.txt"
    tool = environment() / "bin/pip"

    def make():
        _call(tool, "install", "--quiet", "--require-hashes", "--no-deps", "--target", folder, "-r", pins)

    with locked("programs"):
        _stamped(folder, digest(pins), make)
    return folder


def component(script, path=(), include=(), plain=False):
    """Builds a component, once for the same inputs, and returns its file.

    `plain` builds with componentize-py alone, from a module that has the class `Run`.
    """
    tools = environment()
    files = [script, *(file for folder in path for file in sorted(Path(folder).rglob("*.py")))]
    name = Path(script).stem
    wasm = TARGET / "components" / digest(*sources(), *files, words=(*include, plain)) / f"{name}.wasm"
    with locked(wasm.parent.name):
        if not wasm.exists():
            wasm.parent.mkdir(parents=True, exist_ok=True)
            half = wasm.with_suffix(".half")
            if plain:
                wit = PACKAGE / "src/capspawn_process/wit"
                _call(
                    tools / "bin/componentize-py", "-d", wit, "-w", "capspawn:python/program",
                    "componentize", "-p", Path(script).parent, name, "-o", half,
                    env={**os.environ, "VIRTUAL_ENV": str(tools), "RUST_BACKTRACE": "0"},
                )  # fmt: skip
            else:
                options = [part for folder in path for part in ("-p", folder)]
                options += [part for module in include for part in ("-i", module)]
                _call(tools / "bin/capspawn-python", "build", script, *options, "-o", half)
            half.rename(wasm)
    return wasm


@contextmanager
def shared():
    """A folder that the component and its children see under one path, and that both may write."""
    with tempfile.TemporaryDirectory(prefix="capspawn-python-") as name:
        os.chmod(name, 0o777)
        yield Path(name)


def run(wasm, arguments=(), *, grants=None, options=(), stdin=b"", timeout=900):
    """Runs a component and returns the finished process."""
    command = [CAPSPAWN, "run"]
    if grants is not None:
        command += ["--grants", grants]
    command += [*options, wasm, "--", *arguments]
    return subprocess.run(
        [str(part) for part in command], input=stdin, capture_output=True, timeout=timeout
    )


def report(result):
    """Returns the output of a run for a failure, its last lines."""
    out = result.stdout.decode(errors="replace").splitlines()[-15:]
    error = result.stderr.decode(errors="replace").splitlines()[-40:]
    return "\n".join([f"exit code {result.returncode}", *out, *error])

"""CPython's own tests of subprocess and asyncio, inside a component.

The tests are those of an installed CPython, which is not part of this project: 3.13 or newer, the
newest of the interpreters on the path and of pyenv, or the folder that CAPSPAWN_CPYTHON_TESTS names.
"""

import fnmatch
import os
import shutil
import subprocess
from collections import Counter
from pathlib import Path

from groups import grant_file
import workshop
from workshop import HERE, TARGET, check, component, digest, locked, report, shared

MODULES = ("test.test_subprocess", "test.test_asyncio.test_subprocess")
# What a component cannot have. Cases of these kinds do not count; those of any other kind do.
OUTSIDE = ("fork", "threads", "descriptors", "windows", "removed", "upstream")
SHARE = 0.95


def _tests():
    """Returns the folder `test` of CPython, and its version."""
    named = os.environ.get("CAPSPAWN_CPYTHON_TESTS")
    if named:
        return Path(named), named
    found = [shutil.which(f"python3.{minor}") for minor in (14, 13)]
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found += sorted(map(str, pyenv.glob("3.1[34].*/bin/python3")), reverse=True)
    for python in filter(None, found):
        code = "import sys, test; print(test.__path__[0]); print(sys.version.split()[0])"
        result = subprocess.run([python, "-c", code], capture_output=True, text=True)
        if result.returncode == 0:
            folder, version = result.stdout.split()
            if Path(folder, "test_subprocess.py").exists():
                return Path(folder), version
    check(False, "no CPython 3.13 or newer with its own tests: set CAPSPAWN_CPYTHON_TESTS to its folder `test`")


def _copy(tests):
    """Copies what the two modules need, so that no more goes into the component."""
    folder = TARGET / "cpython"
    wanted = ["__init__.py", "support", "test_subprocess.py"]
    wanted += [f"test_asyncio/{name}.py" for name in ("__init__", "utils", "test_subprocess")]
    with locked("cpython"):
        stamp = digest(tests / "test_subprocess.py", words=(str(tests),))
        if not (folder / stamp).exists():
            shutil.rmtree(folder, ignore_errors=True)
            for name in wanted:
                target = folder / stamp / "test" / name
                target.parent.mkdir(parents=True, exist_ok=True)
                if (tests / name).is_dir():
                    shutil.copytree(tests / name, target, ignore=shutil.ignore_patterns("__pycache__"))
                else:
                    shutil.copy(tests / name, target)
    return folder / stamp


def _reasons():
    """Returns `(pattern, kind, reason)` of cpython-reasons.txt, in their order."""
    rows = []
    for line in (HERE / "cpython-reasons.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            pattern, kind, reason = (part.strip() for part in line.split("|"))
            rows.append((pattern, kind, reason))
    return rows


def _run(module, wasm, tests):
    """Returns the outcome of each test: passed, failed or skipped."""
    with shared() as folder:
        grants = grant_file("cpython.toml", folder)
        work = folder / "work"
        for data in ("subprocessdata", "certdata"):
            shutil.copytree(tests / data, work / data)
        options = ["--dir", str(work), "--dir", "/usr/bin"]
        options += ["--env", f"SHARED={work}", "--env", "PATH=/usr/bin:/bin"]
        result = workshop.run(wasm, [module], grants=grants, options=options)
    lines = result.stdout.decode(errors="replace").splitlines()
    check("END" in lines, report(result))
    outcomes = {}
    for line in lines:
        if line.startswith("RESULT "):
            _, name, outcome = line.split(" ", 2)
            if outcomes.get(name) != "failed":
                outcomes[name] = outcome
    (TARGET / f"{module}.log").write_bytes(result.stdout + result.stderr)
    return outcomes


def run_module(module, wasm, tests):
    """Returns lines for the results of one module."""
    kinds, unexplained, rows, used = Counter(), [], {}, set()
    outcomes = _run(module, wasm, tests)
    for name, outcome in sorted(outcomes.items()):
        if outcome == "passed":
            kinds["passed"] += 1
            continue
        for pattern, kind, reason in _reasons():
            if fnmatch.fnmatchcase(f"{module}.{name}", pattern):
                used.add(pattern)
                kinds[kind] += 1
                rows.setdefault((kind, reason), []).append(name)
                break
        else:
            unexplained.append(f"{name}: {outcome}")
    check(not unexplained, f"without a reason, see {TARGET}/{module}.log:\n" + "\n".join(unexplained))
    outside = sum(kinds[kind] for kind in OUTSIDE)
    counted = len(outcomes) - outside
    share = kinds["passed"] / counted
    check(share >= SHARE, f"{module}: {share:.1%} of {counted} cases")
    lines = [
        "",
        f"`{module}`: {len(outcomes)} cases, {outside} of them need a fork, threads, raw descriptors, "
        f"Windows or what Python 3.14 removed, or are skipped everywhere. Of the other {counted}, {kinds['passed']} pass: {share:.1%}.",
        "",
        "| Kind | Reason | Cases |",
        "|---|---|---|",
    ]  # fmt: skip
    for (kind, reason), names in sorted(rows.items()):
        lines.append(f"| {kind} | {reason} | {', '.join(f'`{name}`' for name in names)} |")
    return lines


def run(bounded):
    """Both modules; each case passes or has its reason in cpython-reasons.txt."""
    tests, version = _tests()
    wasm = component(HERE / "in_cpython.py", [_copy(tests)], ["test.*", "asyncio.*", "unittest.*"])
    lines = [f"The tests are those of CPython {version}; the component has CPython 3.14."]
    for module in MODULES:
        lines += run_module(module, wasm, tests)
    return lines

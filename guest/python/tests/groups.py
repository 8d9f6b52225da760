"""The groups of tests that need no other project's test suite. Each returns lines for the results."""

import os

from workshop import (
    EXAMPLES,
    HERE,
    PACKAGE,
    ROOT,
    check,
    component,
    environment,
    report,
    run,
    shared,
)
from workshop import programs as installed_programs

_SEEDS = range(1, 5)


def package(bounded):
    """The package installs, and has the interface of this project."""
    copies = PACKAGE / "src/capspawn_process/wit/deps"
    for copy, original in (
        ("process/process.wit", "process.wit"),
        ("process/types.wit", "types.wit"),
        ("io/io.wit", "deps/io/io.wit"),
    ):
        same = (copies / copy).read_bytes() == (ROOT / "wit/p2" / original).read_bytes()
        check(same, f"{copies / copy} differs from wit/p2/{original}: copy it")
    folder = environment()
    found = sorted(folder.glob("lib/python3*/site-packages/capspawn_process/wit/deps/*/*.wit"))
    check(len(found) == 5, f"the installed package lacks interfaces: {found}")
    return ["`pip install ./guest/python` installs the library, its command and the interfaces."]


def _example(name, bounded):
    if not bounded or name == "run-once":
        return component(EXAMPLES / f"{name}.py"), []
    # One component for all scripts: building each takes half a minute.
    return component(HERE / "runner.py"), [f"/examples/{name}.py"]


def _run_example(name, arguments, bounded, **options):
    wasm, script = _example(name, bounded)
    return run(
        wasm, [*script, *arguments], grants=HERE / "examples.toml",
        options=["--component", name, "--dir", f"{EXAMPLES}::/examples"], **options,
    )  # fmt: skip


def examples(bounded):
    """The five programs that every language has."""
    one = _run_example("run-once", ["seq", "2"], bounded)
    check(one.stdout == b"1\n2\nseq exited with 0\n" and one.returncode == 0, report(one))
    one = _run_example("run-once", ["seq", "-w"], bounded)
    check(one.stdout == b"seq did not run: Permission denied\n", report(one))
    one = _run_example("run-once", ["false"], bounded)
    check(one.stdout == b"false exited with 1\n" and one.returncode == 0, report(one))
    one = _run_example("run-once", ["no-such-command"], bounded)
    check(one.stdout == b"no-such-command did not run: No such file or directory\n", report(one))

    data = os.urandom(1 << 16) * 128
    one = _run_example("pipe-through", ["cat"], bounded, stdin=data)
    check(one.stdout == data and one.returncode == 0, "pipe-through changed 8 MiB")
    one = _run_example("pipe-through", ["tr", "a-z", "A-Z"], bounded, stdin=b"hello\n")
    check(one.stdout == b"HELLO\n", report(one))
    one = _run_example("pipe-through", ["false"], bounded, stdin=data)
    check(one.returncode == 1, report(one))

    one = _run_example("with-timeout", ["200", "sleep", "30"], bounded)
    check(one.stdout == b"too slow\n", report(one))
    one = _run_example("with-timeout", ["60000", "sleep", "0"], bounded)
    check(one.stdout == b"in time\n", report(one))

    one = _run_example("many-children", ["sleep", "3", "0", "1.5"], bounded)
    order = [line.split(":")[0] for line in one.stdout.decode().splitlines()]
    check(order == ["sleep 0", "sleep 1.5", "sleep 3"], report(one))

    one = _run_example("pipeline", ["seq", "100000", ":", "cat", ":", "wc", "-c"], bounded)
    check(one.stdout == b"588895\n" and one.returncode == 0, report(one))
    one = _run_example("pipeline", ["seq", "3", ":", "false"], bounded)
    check(one.returncode == 1 and b"false returned 1" in one.stderr, report(one))
    return ["`run-once`, `pipe-through`, `with-timeout`, `many-children` and `pipeline` pass."]


def grant_file(template, folder):
    """Writes a grant whose SHARED is a new folder `work` of the folder. Returns its file."""
    file = folder / "grants.toml"
    file.write_text((HERE / template).read_text().replace("SHARED", str(folder / "work")))
    (folder / "work").mkdir()
    (folder / "work").chmod(0o777)
    return file


def _script(name, arguments=(), grant="behaviour.toml"):
    with shared() as folder:
        work = folder / "work"
        return run(
            component(HERE / "runner.py"), [f"/tests/{name}", *arguments], grants=grant_file(grant, folder),
            options=["--dir", f"{HERE}::/tests", "--dir", str(work), "--env", f"SHARED={work}"],
        )  # fmt: skip


def behaviour(bounded):
    """What programs expect of subprocess, os and asyncio."""
    result = _script("behaviour.py")
    check(result.returncode == 0, report(result))
    count = result.stderr.count(b"... ok") or result.stderr.count(b"ok\n")
    check(b"FAILED" not in result.stderr and count > 30, report(result))
    for way, code, out, error in (
        ("end", 0, b"at exit\n", b""),
        ("exit", 3, b"at exit\n", b""),
        ("text", 1, b"at exit\n", b"an error in words"),
        ("uncaught", 1, b"at exit\n", b"KeyError: 'uncaught'"),
        ("at once", 5, b"", b""),
        ("exec", 7, b"replaced\n", b""),
        ("signal", 137, b"", b""),
    ):
        result = _script("in_exits.py", [way])
        same = (result.returncode, result.stdout) == (code, out) and error in result.stderr
        check(same, f"{way}: {report(result)}")
    return [f"{count} tests of the documented uses of `subprocess`, `os` and `asyncio` pass, and seven ways to end."]


def border(bounded):
    """No value, order or time ends the component."""
    seeds, count = (_SEEDS[:1], 500) if bounded else (_SEEDS, 2500)
    for seed in seeds:
        result = _script("border.py", [str(seed), str(count)])
        told = f"{count} cases, seed {seed}".encode()
        check(result.returncode == 0 and told in result.stdout, f"seed {seed}\n" + report(result))
    return [f"{len(seeds) * count} calls with wrong types, orders and times: no trap."]


def programs(bounded):
    """Programs of PyPI run unchanged."""
    folder = installed_programs()
    include = ["distro", "plumbum.*", "setuptools_scm.*", "vcs_versioning.*"]
    wasm = component(HERE / "in_programs.py", [folder], include)
    with shared() as place:
        grants = grant_file("programs.toml", place)
        work = place / "work"
        options = ["--dir", str(work), "--dir", "/usr/bin", "--env", f"SHARED={work}"]
        result = run(wasm, grants=grants, options=[*options, "--env", "PATH=/usr/bin:/bin"])
    check(result.returncode == 0, report(result))
    return [line for line in result.stdout.decode().splitlines() if line.startswith("- ")]



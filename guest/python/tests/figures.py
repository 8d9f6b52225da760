"""What the library costs: 8 MB both ways against the Rust guest, and the start of a component.

Each figure is a ratio of medians that one run measures in turns. Nothing fails because of a figure.
"""

import os
import statistics
import subprocess
import time

from workshop import EXAMPLES, HERE, ROOT, check, component, report, run

_TURNS = 9


def _seconds(wasm, arguments, **options):
    start = time.monotonic()
    result = run(wasm, arguments, **options)
    took = time.monotonic() - start
    check(result.returncode == 0, report(result))
    return took


def _medians(measures):
    """Measures in turns, so that a busy machine slows all alike."""
    times = [[] for _ in measures]
    for measure in measures:
        measure()
    for _ in range(_TURNS):
        for measure, taken in zip(measures, times, strict=True):
            taken.append(measure())
    return [statistics.median(taken) for taken in times]


def _both_ways():
    rust = ROOT / "target/guests/pipe-through.wasm"
    if not rust.exists():
        subprocess.run(["cargo", "build", "--quiet", "-p", "e2e"], cwd=ROOT, check=True)
    data = os.urandom(8_000_000)
    folders = ["--dir", f"{HERE}::/tests", "--dir", f"{EXAMPLES}::/examples"]
    options = {
        "grants": HERE / "examples.toml",
        "options": ["--component", "pipe-through", *folders],
    }
    python = component(HERE / "runner.py")
    stream, blocking = ["/examples/pipe-through.py", "cat"], "/tests/in_figures.py"
    cases = [
        (rust, ["cat"], data), (python, stream, data), (python, [blocking, "8"], b""),
        (rust, ["cat"], b""), (python, stream, b""), (python, [blocking, "0"], b""),
    ]  # fmt: skip
    return _medians(
        [lambda each=each: _seconds(each[0], each[1], stdin=each[2], **options) for each in cases]
    )


def run_start():
    """The start of the smallest program, with the library and with componentize-py alone."""
    with_library = component(HERE / "in_start.py")
    without = component(HERE / "in_start_plain.py", plain=True)
    return _medians([lambda: _seconds(with_library, []), lambda: _seconds(without, [])])


def _line(name, time_, base):
    return f"| {name} | {time_ * 1000:.0f} ms | {time_ / base:.2f} |"


def run_group(bounded):
    """Both tables."""
    rust, python, blocking, rust_none, python_none, blocking_none = _both_ways()
    library, plain = run_start()
    return [
        "Medians of whole runs of the command, in turns. The transfer is the run with 8 MB less that "
        "with nothing.",
        "",
        "| 8 MB both ways | Transfer | Ratio to Rust |",
        "|---|---|---|",
        _line("Rust, `pipe-through`", rust - rust_none, rust - rust_none),
        _line("Python, `pipe-through` (asyncio)", python - python_none, rust - rust_none),
        _line("Python, `subprocess.run(input=...)`", blocking - blocking_none, rust - rust_none),
        "",
        "| Start, an empty program | Run | Ratio |",
        "|---|---|---|",
        _line("componentize-py alone", plain, plain),
        _line("with the library", library, plain),
    ]



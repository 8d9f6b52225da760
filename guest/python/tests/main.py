"""The tests of the Python library. `guest/python/test` calls this; its text explains the arguments."""

import sys
import time

import cpython
import figures
import groups
from workshop import PACKAGE, Failure

GROUPS = {
    "package": groups.package,
    "examples": groups.examples,
    "behaviour": groups.behaviour,
    "border": groups.border,
    "programs": groups.programs,
    "cpython": cpython.run,
    "figures": figures.run_group,
}
_BOUNDED = ("package", "examples", "behaviour", "border")


def main(arguments):
    bounded, bless = "--bounded" in arguments, "--bless" in arguments
    names = [name for name in arguments if not name.startswith("--")]
    unknown = [name for name in names if name not in GROUPS]
    if unknown:
        print(f"no such group: {', '.join(unknown)}", file=sys.stderr)
        return 2
    passed, failed, lines = 0, 0, {}
    for name in names or (_BOUNDED if bounded else GROUPS):
        start = time.monotonic()
        try:
            lines[name] = GROUPS[name](bounded)
        except Failure as failure:
            failed += 1
            print(f"{name}: FAILED\n{failure}\n", flush=True)
        else:
            passed += 1
            print(f"{name}: ok in {time.monotonic() - start:.0f} s", flush=True)
            for line in lines[name]:
                print(f"  {line}", flush=True)
    if bless and not failed:
        write(lines)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


def write(lines):
    """Writes the results of these groups into RESULTS.md, and keeps those of others."""
    file = PACKAGE / "RESULTS.md"
    text = file.read_text() if file.exists() else "# Results\n\nWritten by `guest/python/test --bless`.\n"
    head, *parts = text.split("\n## ")
    kept = {part.partition("\n")[0]: part.partition("\n")[2].strip() for part in parts}
    kept.update({name: "\n".join(each) for name, each in lines.items()})
    order = [name for name in GROUPS if name in kept]
    file.write_text(
        head.rstrip() + "\n" + "".join(f"\n## {name}\n\n{kept[name]}\n" for name in order)
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

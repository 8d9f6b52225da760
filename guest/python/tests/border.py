"""Wrong types, orders and times at every function that starts a program or waits. Runs inside a component.

Usage: border SEED COUNT. Each case calls one function with values that it may not expect, on
whatever processes, descriptors and streams the cases before have left, so drops happen in any order.
An exception is a fine answer. What must not happen is the end of the component: componentize-py
aborts it where a value does not fit the interface. The grant is `behaviour.toml`.
"""

import asyncio
import gc
import os
import random
import select
import signal
import subprocess
import sys
import time
import warnings

warnings.simplefilter("ignore")
seed, count = int(sys.argv[1]), int(sys.argv[2])
chance = random.Random(seed)

processes, descriptors, files = [], [], []


class Odd:
    """Converts to anything, and compares with nothing."""

    def __index__(self):
        return chance.choice([-1, 0, 2**70])

    def __float__(self):
        return chance.choice([0.0, float("nan"), -1.0])

    def __fspath__(self):
        return chance.choice(["/", "\ud800", b"\xff"])

    def __iter__(self):
        return iter(["printf", self][: chance.randrange(3)])

    def fileno(self):
        return chance.choice([-1, 0, 1, 2, 70000, 2**40, "x", None])


def number():
    return chance.choice(
        [0, 1, -1, 2, 9, 15, 255, 1000, 1001, 65536, 65537, 2**31, 2**32, 2**63, 2**64, -(2**64), True]
        + descriptors[-3:] + [each.pid for each in processes[-3:]]
    )  # fmt: skip


def text():
    return chance.choice(
        ["", "x", "printf", "/bin/sh", "./x", "/", "a\0b", "\ud800", "\udcff", "é" * 50, "x" * 70000,
         b"", b"x", b"\xff\xfe", b"a\0", bytearray(b"y"), memoryview(b"z")]
    )  # fmt: skip


def seconds():
    return chance.choice(
        [0, 0.0, 0.001, -1, -0.0, float("nan"), float("-inf"), 1e-320, "1", None, Odd()]
    ) if chance.random() < 0.9 else 0.002  # fmt: skip


def anything(depth=0):
    kind = chance.randrange(12 if depth < 3 else 8)
    if kind < 3:
        return text()
    if kind < 5:
        return number()
    if kind == 5:
        return seconds()
    if kind == 6:
        return chance.choice([None, True, False, ..., object(), Odd(), int, print, 1j, float("inf")])
    if kind == 7:
        return stream()
    some = [anything(depth + 1) for _ in range(chance.randrange(4))]
    if kind == 8:
        return some
    if kind == 9:
        return tuple(some)
    if kind == 10:
        try:
            return dict.fromkeys(some, anything(depth + 1))
        except TypeError:
            return {text() if not isinstance(text(), (bytearray, memoryview)) else 1: anything(depth + 1)}
    return (each for each in some)


def stream():
    return chance.choice(
        [None, -1, -2, -3, 0, 1, 2, sys.stdin, sys.stdout, Odd()] + descriptors[-4:] + files[-4:]
    )


def command():
    return chance.choice(
        [["printf", "x"], ["cat"], ["sleep", "0.01"], ["sh", "-c", "echo $$; exit 3"], ["seq", "20000"],
         ["narrow", "only"], ["narrow", "x"], ["no-such"], "printf", b"cat", [], ["printf", text()],
         [text(), text()], anything()]
    )  # fmt: skip


def options():
    names = ["stdin", "stdout", "stderr"]
    chosen = {name: chance.choice([subprocess.PIPE, stream()]) for name in names
              if chance.random() < 0.6}  # fmt: skip
    for name in ("bufsize", "executable", "preexec_fn", "close_fds", "shell", "cwd", "env", "encoding",
                 "text", "restore_signals", "start_new_session", "pass_fds", "user", "group", "umask",
                 "pipesize", "process_group", "errors", "universal_newlines"):  # fmt: skip
        if chance.random() < 0.04:
            chosen[name] = anything()
    return chosen


def case_popen():
    processes.append(subprocess.Popen(command(), **options()))


def case_run():
    run = chance.choice([subprocess.run, subprocess.call, subprocess.check_output])
    run(command(), timeout=0.05, **options())


def case_method():
    process = chance.choice(processes)
    name = chance.choice(["poll", "kill", "terminate", "wait", "communicate", "send_signal", "__exit__"])
    if name == "wait":
        process.wait(chance.choice([0, 0.01, seconds() or 0]))
    elif name == "communicate":
        process.communicate(chance.choice([None, b"in", anything()]), timeout=0.01)
    elif name == "send_signal":
        process.send_signal(chance.choice([number(), signal.SIGTERM, anything()]))
    elif name != "__exit__":
        getattr(process, name)()


def case_stream():
    process = chance.choice(processes)
    file = chance.choice([process.stdin, process.stdout, process.stderr])
    if file is None:
        return
    files.append(file)
    action = chance.choice(["close", "write", "flush", "read1", "blocking", "detach"])
    if action == "blocking":
        os.set_blocking(file.fileno(), False)
    elif action == "write":
        os.set_blocking(file.fileno(), False)
        file.write(chance.choice([b"data", b"x" * 200_000, anything()]))
    elif action == "read1":
        os.set_blocking(file.fileno(), False)
        file.read1(chance.choice([1, 100_000, anything()]))
    else:
        getattr(file, action)()


def case_forget():
    if processes:
        processes.pop(chance.randrange(len(processes)))
    if files and chance.random() < 0.5:
        files.pop(chance.randrange(len(files)))
    if chance.random() < 0.05:
        gc.collect()


def case_pipe():
    both = os.pipe()
    for fd in both:
        os.set_blocking(fd, False)
    descriptors.extend(both)


def case_descriptor():
    own = [fd for fd in descriptors if fd > 2] or [70000]
    fd = chance.choice(own + [70001, -1, 2**40])
    action = chance.choice(["read", "write", "close", "dup", "fstat", "set_blocking", "lseek", "isatty"])
    if action == "close":
        os.close(fd)
        descriptors.remove(fd)
    elif action in ("read", "write", "set_blocking"):
        value = chance.choice([1, b"x", b"y" * 300_000, number(), anything()])
        if action == "set_blocking":
            value = False
        getattr(os, action)(fd, value)
    elif action == "lseek":
        os.lseek(fd, number(), number())
    elif action == "dup":
        descriptors.append(os.dup(fd))
    else:
        getattr(os, action)(fd)


def case_os():
    name, arguments = chance.choice(
        [("kill", (number(), number())), ("kill", (anything(), anything())),
         ("waitpid", (number(), os.WNOHANG)), ("waitpid", (anything(), os.WNOHANG)),
         ("killpg", (number(), number())), ("system", (chance.choice(["exit 2", text(), anything()]),)),
         ("spawnvp", (os.P_NOWAIT, text(), [text(), text()])), ("spawnlp", (anything(), anything(), anything())),
         ("posix_spawn", (text(), [text()], {})), ("posix_spawn", (anything(), anything(), anything())),
         ("pidfd_open", (number(),)), ("getpgid", (number(),)), ("popen", ("exit 3",)),
         ("waitstatus_to_exitcode", (anything(),))]
    )  # fmt: skip
    # A signal to the component itself ends it, as it should.
    if name in ("kill", "killpg") and arguments[0] == os.getpid():
        return
    result = getattr(os, name)(*arguments)
    if name == "pidfd_open":
        descriptors.append(result)


def case_select():
    watched = [chance.choice(descriptors[-6:] + files[-6:] + [number(), anything()]) for _ in range(3)]
    if chance.random() < 0.5:
        select.select(watched, watched[:1], [], chance.choice([0, 0.001]))
        return
    poller = select.poll()
    for each in watched:
        poller.register(each, chance.choice([1, 4, 5, number()]))
    poller.poll(chance.choice([0, 1]))


def case_sleep():
    value = seconds()
    if value is not None:
        time.sleep(value)


def case_asyncio():
    async def main():
        child = await asyncio.create_subprocess_exec(
            *chance.choice([["cat"], ["seq", "5"], ["no-such"], [text()], [anything()]]),
            stdin=chance.choice([-1, stream()]), stdout=chance.choice([-1, stream()]),
        )  # fmt: skip
        waiting = child.communicate(chance.choice([None, b"in", b"x" * 100_000, anything()]))
        try:
            await asyncio.wait_for(waiting, chance.choice([0, 0.02]))
        finally:
            if child.returncode is None and chance.random() < 0.5:
                child.kill()

    asyncio.run(main())


CASES = [value for name, value in sorted(globals().items()) if name.startswith("case_")]
answers = {}
for number_of_case in range(count):
    case = chance.choice(CASES)
    try:
        case()
        answer = "done"
    except Exception as error:
        answer = type(error).__name__
    answers[answer] = answers.get(answer, 0) + 1
    if len(processes) > 12:
        oldest = processes.pop(0)
        try:
            oldest.kill()
            oldest.wait(5)
        except Exception:
            answers["not ended"] = answers.get("not ended", 0) + 1
    while len(descriptors) > 40:
        fd = descriptors.pop(0)
        try:
            os.close(fd)
        except OSError:
            pass
    del files[:-8]

sys.__stdout__.flush()
os.write(1, f"\n{count} cases, seed {seed}: {dict(sorted(answers.items()))}\n".encode())

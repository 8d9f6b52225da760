"""What a program may expect of subprocess, os and asyncio. Runs inside a component.

The first part has one test for each use that the documentation of `subprocess` describes, the rest
is what a component adds. The grant is `behaviour.toml`.
"""

import asyncio
import errno
import io
import os
import select
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from capspawn_guest import kill_reason
from subprocess import DEVNULL, PIPE, STDOUT, CalledProcessError, Popen, TimeoutExpired

HERE = os.environ["SHARED"]


class Documentation(unittest.TestCase):
    def test_run_lets_the_output_through(self):
        self.assertEqual(subprocess.run(["ls", "-l", "/usr"]).returncode, 0)

    def test_check_raises_the_exit_status(self):
        with self.assertRaises(CalledProcessError) as caught:
            subprocess.run("exit 1", shell=True, check=True)
        self.assertEqual(caught.exception.returncode, 1)
        self.assertIn("non-zero exit status 1", str(caught.exception))

    def test_run_captures_output(self):
        result = subprocess.run(["ls", "-d", "/usr"], capture_output=True)
        self.assertEqual((result.stdout, result.stderr), (b"/usr\n", b""))
        result.check_returncode()

    def test_a_command_line_is_split_by_shlex(self):
        words = shlex.split("printf '%s|' 'a b' c")
        self.assertEqual(subprocess.check_output(words), b"a b|c|")

    def test_popen_starts_a_program_by_its_path(self):
        with Popen(["/usr/bin/git", "--version"], stdout=PIPE, text=True) as process:
            self.assertTrue(process.stdout.read().startswith("git version"))
        self.assertEqual(process.returncode, 0)

    def test_communicate_after_a_timeout(self):
        process = Popen(["sleep", "30"], stdout=PIPE)
        with self.assertRaises(TimeoutExpired):
            process.communicate(timeout=0.1)
        process.kill()
        self.assertEqual(process.communicate(), (b"", None))
        self.assertEqual(process.returncode, -signal.SIGKILL)

    def test_output_is_that_of_a_shell_substitution(self):
        self.assertEqual(subprocess.check_output(["printf", "%s", "x"]), b"x")

    def test_a_pipeline_of_two_programs(self):
        first = Popen(["seq", "10"], stdout=PIPE)
        second = Popen(["grep", "1"], stdin=first.stdout, stdout=PIPE)
        first.stdout.close()
        self.assertEqual(second.communicate()[0], b"1\n10\n")
        self.assertEqual(first.wait(), 0)

    def test_a_pipeline_of_the_shell(self):
        self.assertEqual(subprocess.check_output("seq 10 | grep 2", shell=True), b"2\n")

    def test_call_reports_the_shells_exit_code(self):
        self.assertEqual(subprocess.call("exit 7", shell=True), 7)
        self.assertEqual(os.waitstatus_to_exitcode(os.system("exit 7")), 7)

    def test_os_spawn(self):
        pid = os.spawnlp(os.P_NOWAIT, "sh", "sh", "-c", "exit 4")
        self.assertEqual(os.waitpid(pid, 0), (pid, 4 << 8))
        self.assertEqual(os.spawnlp(os.P_WAIT, "sh", "sh", "-c", "exit 5"), 5)
        self.assertEqual(os.spawnvp(os.P_WAIT, "sh", ["sh", "-c", "kill $$"]), -signal.SIGTERM)

    def test_os_popen(self):
        with os.popen("echo out", "r") as pipe:
            self.assertEqual(pipe.read(), "out\n")
        pipe = os.popen("cat >/dev/null; exit 3", "w")
        pipe.write("in")
        self.assertEqual(os.waitstatus_to_exitcode(pipe.close()), 3)

    def test_getstatusoutput(self):
        self.assertEqual(subprocess.getstatusoutput("echo a; exit 2"), (2, "a"))
        self.assertEqual(subprocess.getoutput("echo b"), "b")

    def test_devnull_and_merged_errors(self):
        both = subprocess.run("echo a; echo b >&2", shell=True, stdout=PIPE, stderr=STDOUT)
        self.assertEqual(both.stdout, b"a\nb\n")
        subprocess.run("echo a", shell=True, stdout=DEVNULL, check=True)
        quiet = subprocess.run(["cat"], stdin=DEVNULL, stdout=PIPE)
        self.assertEqual(quiet.stdout, b"")


class Errors(unittest.TestCase):
    def test_a_command_that_is_not_granted_is_not_found(self):
        with self.assertRaises(FileNotFoundError) as caught:
            Popen(["no-such-command"])
        self.assertEqual(caught.exception.errno, errno.ENOENT)
        self.assertEqual(caught.exception.filename, "no-such-command")

    def test_a_refused_argument_is_a_permission_error(self):
        with self.assertRaises(PermissionError) as caught:
            Popen(["narrow", "other"])
        self.assertEqual(caught.exception.filename, "narrow")
        self.assertIn("argument", caught.exception.__notes__[0])
        self.assertEqual(subprocess.call(["narrow", "only"], stdout=DEVNULL), 0)

    def test_a_directory_that_is_missing_or_a_file(self):
        with self.assertRaises(FileNotFoundError) as caught:
            Popen(["sh", "-c", "exit"], cwd=HERE + "/missing")
        self.assertEqual(caught.exception.filename, HERE + "/missing")
        with open(HERE + "/file", "w"):
            pass
        with self.assertRaises(NotADirectoryError):
            Popen(["sh", "-c", "exit"], cwd=HERE + "/file")
        self.assertEqual(subprocess.check_output(["pwd"], cwd=HERE, text=True), HERE + "\n")

    def test_a_child_is_waited_for_once(self):
        pid = os.spawnlp(os.P_NOWAIT, "sh", "sh", "-c", "exit")
        os.waitpid(pid, 0)
        with self.assertRaises(ChildProcessError):
            os.waitpid(pid, 0)
        with self.assertRaises(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)

    def test_what_needs_a_fork_states_why(self):
        for options in ({"preexec_fn": print}, {"pass_fds": (5,)}):
            with self.assertRaisesRegex(ValueError, "not supported in a component"):
                Popen(["sh", "-c", "exit"], **options)
        self.assertFalse(hasattr(os, "fork"))
        with self.assertRaisesRegex(AttributeError, "cannot be duplicated"):
            os.fork()

    def test_text_that_no_program_can_receive(self):
        with self.assertRaises(ValueError):
            Popen(["printf", "a\0b"])
        for word in ("\ud800", "\udcff"):
            with self.assertRaises((OSError, ValueError)):
                Popen(["printf", word])
        self.assertEqual(subprocess.check_output(["printf", "%s", "é"]), "é".encode())

    def test_a_wait_that_nothing_can_end_is_an_error(self):
        reading, writing = os.pipe()
        with self.assertRaises(OSError) as caught:
            os.read(reading, 1)
        self.assertEqual(caught.exception.errno, errno.EDEADLK)
        os.close(writing)
        self.assertEqual(os.read(reading, 1), b"")
        os.close(reading)


class Options(unittest.TestCase):
    def test_encodings(self):
        command = ["printf", "caf\\303\\251\\r\\n"]
        self.assertEqual(subprocess.check_output(command, text=True), "café\n")
        self.assertEqual(subprocess.check_output(command, encoding="latin-1"), "cafÃ©\n")
        self.assertEqual(
            subprocess.check_output(command, encoding="ascii", errors="replace"), "caf\ufffd\ufffd\n"
        )

    def test_buffers(self):
        for size in (-1, 0, 1, 5000):
            with Popen(["cat"], stdin=PIPE, stdout=PIPE, bufsize=size, text=size == 1) as process:
                line = "line\n" if size == 1 else b"line\n"
                process.stdin.write(line)
                if size in (-1, 5000):
                    process.stdin.flush()
                self.assertEqual(process.stdout.readline(), line)

    def test_a_timeout_has_the_partial_output(self):
        with self.assertRaises(TimeoutExpired) as caught:
            subprocess.run("echo early; sleep 30", shell=True, stdout=PIPE, timeout=1)
        self.assertEqual(caught.exception.output, b"early\n")

    def test_communicate_continues_after_a_timeout(self):
        process = Popen("read line; echo $line; sleep 1; cat", shell=True, stdin=PIPE, stdout=PIPE)
        data = b"first\n" + b"x" * 100_000
        with self.assertRaises(TimeoutExpired):
            process.communicate(data, timeout=0.1)
        output, _ = process.communicate()
        self.assertEqual(output, data)

    def test_variables(self):
        self.assertEqual(subprocess.check_output("echo $GREETING", shell=True), b"\n")
        output = subprocess.check_output("echo $GREETING", shell=True, env={"GREETING": "hi"})
        self.assertEqual(output, b"hi\n")
        os.environ["GREETING"] = "own"
        self.addCleanup(os.environ.pop, "GREETING")
        self.assertEqual(subprocess.check_output("echo $GREETING", shell=True), b"own\n")
        with self.assertRaises(PermissionError):
            subprocess.check_output("true", shell=True, env={"SECRET": "x"})

    def test_sessions_and_descriptors_are_accepted(self):
        process = Popen("sleep 30 & wait", shell=True, start_new_session=True, close_fds=False)
        os.killpg(process.pid, signal.SIGTERM)
        self.assertEqual(process.wait(), -signal.SIGTERM)

    def test_files(self):
        path = HERE + "/out"
        with open(path, "w") as file:
            process = Popen("echo 1; sleep 0.2; echo 2", shell=True, stdout=file)
        # The program's own file is closed, as it may be.
        self.assertEqual(process.wait(), 0)
        with open(path) as file:
            self.assertEqual(subprocess.check_output(["cat"], stdin=file), b"1\n2\n")
        with tempfile.TemporaryFile(dir=HERE) as file:
            subprocess.run("echo a; echo b >&2", shell=True, stdout=file, stderr=STDOUT)
            file.seek(0)
            self.assertEqual(file.read(), b"a\nb\n")

    def test_signals(self):
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
            process = Popen(["sleep", "30"])
            process.send_signal(number)
            self.assertEqual(process.wait(), -number)
        process = Popen("trap 'echo got; exit 3' USR1; echo up; while :; do sleep 0.05; done",
                        shell=True, stdout=PIPE)  # fmt: skip
        process.stdout.readline()
        process.send_signal(signal.SIGUSR1)
        self.assertEqual(process.communicate()[0], b"got\n")
        self.assertEqual(process.returncode, 3)

    def test_a_writer_whose_reader_has_closed_is_ended(self):
        with Popen(["seq", "100000000"], stdout=PIPE) as process:
            process.stdout.close()
            self.assertEqual(process.wait(), -signal.SIGPIPE)

    def test_merged_outputs_keep_their_order(self):
        script = "for i in 1 2 3 4 5 6 7 8 9; do echo $i; echo $i >&2; done"
        expected = "".join(f"{i}\n{i}\n" for i in range(1, 10)).encode() * 20
        script = f"for n in {'x ' * 20}; do {script}; done"
        self.assertEqual(subprocess.check_output(script, shell=True, stderr=STDOUT), expected)

    def test_output_can_be_read_after_the_wait(self):
        process = Popen("echo out; echo err >&2", shell=True, stdout=PIPE, stderr=PIPE)
        self.assertEqual(process.wait(), 0)
        self.assertEqual(process.stdout.read(), b"out\n")
        self.assertEqual(process.communicate(), (b"", b"err\n"))

    def test_a_limit_of_the_grant_has_its_reason(self):
        process = Popen(["short", "30"])
        self.assertEqual(process.wait(), -signal.SIGKILL)
        self.assertEqual(kill_reason(process.pid), "timeout")
        process = Popen(["sleep", "0"])
        self.assertEqual(process.wait(), 0)
        self.assertIsNone(kill_reason(process.pid))

    def test_exec_of_a_missing_program_returns_an_error(self):
        with self.assertRaises(FileNotFoundError):
            os.execvp("no-such-command", ["no-such-command"])

    def test_which(self):
        self.assertIsNone(shutil.which("no-such-command"))
        self.assertIsNone(shutil.which("./no-such-command"))
        for name in ("git", "narrow", "/usr/bin/git"):
            self.assertEqual(os.path.basename(shutil.which(name)), os.path.basename(name))

    def test_8_mb_go_both_ways(self):
        data = os.urandom(1 << 16) * 128
        self.assertEqual(subprocess.run(["cat"], input=data, stdout=PIPE).stdout, data)

    def test_a_failed_start_leaves_the_pipe_for_the_next(self):
        first = Popen(["seq", "3"], stdout=PIPE)
        with self.assertRaises(FileNotFoundError):
            Popen(["no-such-command"], stdin=first.stdout)
        self.assertEqual(subprocess.check_output(["cat"], stdin=first.stdout), b"1\n2\n3\n")
        first.stdout.close()
        first.wait()

    def test_half_read_output_goes_to_the_next_program(self):
        with Popen("echo a; echo b", shell=True, stdout=PIPE, bufsize=0) as first:
            self.assertEqual(first.stdout.read(2), b"a\n")
            self.assertEqual(subprocess.check_output(["cat"], stdin=first.stdout), b"b\n")

    def test_two_programs_write_into_a_third(self):
        with Popen(["sort"], stdin=PIPE, stdout=PIPE) as last:
            for word in ("b", "a"):
                subprocess.run(["printf", word + "\\n"], stdout=last.stdin)
            last.stdin.close()
            self.assertEqual(last.stdout.read(), b"a\nb\n")

    def test_select(self):
        slow, fast = Popen(["sleep", "30"], stdout=PIPE), Popen(["printf", "x"], stdout=PIPE)
        ready, _, _ = select.select([slow.stdout, fast.stdout], [], [], 20)
        self.assertEqual(ready, [fast.stdout])
        self.assertEqual(select.select([slow.stdout], [], [], 0.01), ([], [], []))
        slow.kill()
        for process in (slow, fast):
            process.communicate()


class Asyncio(unittest.TestCase):
    def test_exec_and_shell(self):
        async def main():
            child = await asyncio.create_subprocess_exec("cat", stdin=PIPE, stdout=PIPE)
            self.assertEqual(await child.communicate(b"in"), (b"in", None))
            child = await asyncio.create_subprocess_shell("echo a; exit 3", stdout=PIPE)
            self.assertEqual([line async for line in child.stdout], [b"a\n"])
            self.assertEqual(await child.wait(), 3)

        asyncio.run(main())

    def test_times(self):
        async def main():
            loop, order = asyncio.get_running_loop(), []
            loop.call_later(0.05, order.append, "late")
            loop.call_soon(order.append, "soon")
            with self.assertRaises(TimeoutError):
                async with asyncio.timeout(0.2):
                    child = await asyncio.create_subprocess_exec("sleep", "30")
                    await child.wait()
            child.kill()
            self.assertEqual(await child.wait(), -signal.SIGKILL)
            self.assertEqual(order, ["soon", "late"])

        asyncio.run(main())

    def test_the_first_to_end_wins(self):
        async def job(seconds):
            child = await asyncio.create_subprocess_exec("sleep", seconds)
            try:
                await child.wait()
            except asyncio.CancelledError:
                child.kill()
                await child.wait()
            return seconds

        async def main():
            jobs = {asyncio.create_task(job(seconds)) for seconds in ("30", "0.1", "29")}
            done, others = await asyncio.wait(jobs, return_when=asyncio.FIRST_COMPLETED)
            for other in others:
                other.cancel()
            await asyncio.gather(*others, return_exceptions=True)
            return [task.result() for task in done]

        self.assertEqual(asyncio.run(main()), ["0.1"])

    def test_8_mb_go_both_ways(self):
        data = os.urandom(1 << 16) * 128

        async def main():
            child = await asyncio.create_subprocess_exec("cat", stdin=PIPE, stdout=PIPE)
            return await child.communicate(data)

        self.assertEqual(asyncio.run(main())[0], data)

    def test_a_blocking_function_runs_at_once(self):
        async def main():
            return await asyncio.to_thread(subprocess.check_output, ["printf", "x"])

        self.assertEqual(asyncio.run(main()), b"x")


class Exits(unittest.TestCase):
    def test_sleep_moves_output(self):
        with open(HERE + "/slept", "w") as file:
            process = Popen("seq 100000", shell=True, stdout=file)
            while process.poll() is None:
                time.sleep(0.01)
        self.assertEqual(os.path.getsize(HERE + "/slept"), 588895)


if __name__ == "__main__":
    sys.stdout.flush()
    runner = unittest.TextTestRunner(verbosity=2, stream=io.TextIOWrapper(
        sys.stderr.buffer, write_through=True))  # fmt: skip
    program = unittest.main(argv=["behaviour", *sys.argv[1:]], testRunner=runner, exit=False)
    sys.exit(0 if program.result.wasSuccessful() and program.result.testsRun else 1)

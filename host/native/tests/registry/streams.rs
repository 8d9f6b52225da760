//! Pipes that the caller takes and reads or writes by itself.

use std::io;
use std::path::Path;

use capspawn_native::grant::Grants;
use capspawn_native::{
    Child, Command, DeniedItem, ExitStatus, KillReason, PipeReader, PipeWriter, Signal, SpawnError,
    Stdin, Stdio,
};
use tokio::runtime::Runtime;

use crate::support::*;

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .expect("the runtime starts")
}

fn piped(script: &str) -> Command {
    Command {
        stdin: Stdin::Piped,
        stdout: Stdio::Piped,
        stderr: Stdio::Piped,
        ..sh(script)
    }
}

/// Reads to the end of file.
async fn drain(reader: &PipeReader) -> Vec<u8> {
    let mut all = Vec::new();
    loop {
        match reader.try_read_vec(64 * 1024) {
            Ok(bytes) if bytes.is_empty() => return all,
            Ok(bytes) => all.extend(bytes),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                reader.readable().await.expect("the runtime runs");
            }
            Err(error) => panic!("{error}"),
        }
    }
}

fn stdin_of(child: &Child) -> PipeWriter {
    let taken = child.take_stdin().expect("the runtime takes the pipe");
    taken.expect("the pipe was not taken before")
}

fn stdout_of(child: &Child) -> PipeReader {
    let taken = child.take_stdout().expect("the runtime takes the pipe");
    taken.expect("the pipe was not taken before")
}

fn stderr_of(child: &Child) -> PipeReader {
    let taken = child.take_stderr().expect("the runtime takes the pipe");
    taken.expect("the pipe was not taken before")
}

/// A read of exactly the buffered bytes does not reach end of file, so it must
/// not leave the pipe marked as readable.
#[test]
fn a_pipe_that_was_read_empty_is_not_readable_until_more_is_written() {
    let guest = guest();
    runtime().block_on(async {
        let child = guest.spawn(&piped("cat")).expect("the grant allows it");
        let stdin = stdin_of(&child);
        let stdout = stdout_of(&child);
        for _ in 0..2 {
            stdin.try_write(b"ab").expect("the pipe has room");
            stdout.readable().await.expect("the runtime runs");
            assert_eq!(stdout.try_read_vec(2).expect("the pipe is readable"), b"ab");
            let silent = std::future::poll_fn(|cx| {
                std::task::Poll::Ready(stdout.poll_readable(cx).is_pending())
            });
            assert!(silent.await);
        }
        drop(stdin);
        stdout
            .readable()
            .await
            .expect("end of file makes it readable");
        assert!(
            stdout
                .try_read_vec(1)
                .expect("the pipe is readable")
                .is_empty()
        );
    });
}

#[test]
fn bytes_pass_unchanged_and_dropping_the_writer_is_end_of_file() {
    let guest = guest();
    runtime().block_on(async {
        let child = guest
            .spawn(&piped("cat; echo end >&2"))
            .expect("the grant allows it");
        let stdin = stdin_of(&child);
        let stdout = stdout_of(&child);
        let stderr = stderr_of(&child);
        assert_eq!(stdin.try_write(b"a\xff\0b").expect("the pipe has room"), 4);
        drop(stdin);
        assert_eq!(drain(&stdout).await, b"a\xff\0b");
        assert_eq!(drain(&stderr).await, b"end\n");
        assert_eq!(child.wait(None).await, Some(ExitStatus::Exited(0)));
    });
}

#[test]
fn a_stream_is_taken_once_and_only_if_the_request_pipes_it() {
    let guest = guest();
    let child = guest.spawn(&piped("true")).expect("the grant allows it");
    assert!(
        child
            .take_stdout()
            .expect("the runtime takes the pipe")
            .is_some()
    );
    assert!(
        child
            .take_stdout()
            .expect("no pipe needs the runtime")
            .is_none()
    );
    let captured = guest.spawn(&sh("true")).expect("the grant allows it");
    assert!(
        captured
            .take_stdin()
            .expect("no pipe needs the runtime")
            .is_none()
    );
    assert!(
        captured
            .take_stdout()
            .expect("no pipe needs the runtime")
            .is_none()
    );
    assert!(
        captured
            .take_stderr()
            .expect("no pipe needs the runtime")
            .is_none()
    );
}

#[test]
fn nothing_is_read_ahead_so_a_full_pipe_blocks_the_child() {
    let guest = guest();
    runtime().block_on(async {
        let script =
            "head -c 65536 /dev/zero; echo full >&2; echo more; echo passed >&2; sleep 600";
        let child = guest.spawn(&piped(script)).expect("the grant allows it");
        let stdout = stdout_of(&child);
        let stderr = stderr_of(&child);
        stderr.readable().await.expect("the child writes");
        assert_eq!(
            stderr.try_read_vec(64).expect("the pipe is readable"),
            b"full\n"
        );
        // The pipe holds 64 KiB and nobody has read any: the second echo of the shell blocks.
        let stuck = stderr.try_read_vec(64).expect_err("the echo blocks");
        assert_eq!(stuck.kind(), io::ErrorKind::WouldBlock);
        let mut read = 0;
        while read < 65536 {
            stdout.readable().await.expect("the pipe is readable");
            read += stdout.try_read_vec(1 << 20).map_or(0, |bytes| bytes.len());
        }
        stderr.readable().await.expect("the child continues");
        assert_eq!(
            stderr.try_read_vec(64).expect("the pipe is readable"),
            b"passed\n"
        );
    });
}

#[test]
fn a_dropped_reader_is_sigpipe_for_the_child_and_a_closed_input_is_broken_pipe_for_the_caller() {
    let guest = guest();
    runtime().block_on(async {
        // `yes` ends by SIGPIPE once its reader is gone.
        let child = guest
            .spawn(&piped("exec yes"))
            .expect("the grant allows it");
        drop(stdout_of(&child));
        assert_eq!(child.wait(None).await, Some(ExitStatus::Signaled(13)));
        let child = guest
            .spawn(&piped("exec <&-; echo; sleep 600"))
            .expect("the grant allows it");
        let stdin = stdin_of(&child);
        stdout_of(&child)
            .readable()
            .await
            .expect("the child has closed its input");
        let error = stdin.try_write(b"x").expect_err("the pipe has no reader");
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    });
}

#[test]
fn streams_outlive_the_handle_and_the_child() {
    let guest = guest();
    runtime().block_on(async {
        let child = guest
            .spawn(&piped("echo last words"))
            .expect("the grant allows it");
        let stdout = stdout_of(&child);
        child.wait(None).await;
        assert_eq!(child.release().await, ExitStatus::Exited(0));
        assert_eq!(drain(&stdout).await, b"last words\n");
    });
}

#[test]
fn a_grandchild_that_holds_the_pipe_is_cut_off_and_its_earlier_output_is_read() {
    let guest = guest();
    runtime().block_on(async {
        let script = "(echo early; exec sleep 600) & echo leader";
        let child = guest.spawn(&piped(script)).expect("the grant allows it");
        let stdout = stdout_of(&child);
        let text = drain(&stdout).await;
        let text = String::from_utf8(text).expect("the output is text");
        assert!(text.contains("early") && text.contains("leader"), "{text}");
        assert_eq!(child.release().await, ExitStatus::Exited(0));
    });
}

#[test]
fn piped_output_counts_against_the_limit_on_output() {
    let grant = grant("test", r#"limits = { output = "1MiB" }"#);
    let guest = registry().guest(grant, "");
    runtime().block_on(async {
        let child = guest
            .spawn(&piped("exec yes"))
            .expect("the grant allows it");
        let stdout = stdout_of(&child);
        let read = drain(&stdout).await.len();
        assert!(
            read >= 1024 * 1024,
            "ended below the limit, at {read} bytes"
        );
        assert_eq!(
            child.wait(None).await,
            Some(ExitStatus::Killed(KillReason::Output))
        );
    });
}

#[test]
fn readiness_and_room_are_read_from_the_kernel_without_a_turn_of_the_runtime() {
    let guest = guest();
    runtime().block_on(async {
        let child = guest.spawn(&piped("cat")).expect("the grant allows it");
        let stdout = stdout_of(&child);
        let stdin = stdin_of(&child);
        assert!(!stdout.is_readable());
        assert_eq!(stdin.room().expect("the pipe has a reader"), 64 * 1024);
        assert_eq!(stdin.try_write(b"x").expect("the pipe has room"), 1);
        // This task never yields, so its runtime handles no event.
        eventually("the byte", || stdout.is_readable());
        assert_eq!(
            stdout.read_vec(8).await.expect("the pipe is readable"),
            b"x"
        );
        assert!(!stdout.is_readable());
        child.kill(std::time::Duration::ZERO);
        eventually("the end", || stdout.is_readable());
        assert_eq!(stdout.read_vec(8).await.expect("end of file"), b"");
        let gone = |error: io::Error| error.kind() == io::ErrorKind::BrokenPipe;
        // The kernel closes the descriptors of an ended process one after the other.
        eventually("no reader", || stdin.room().is_err_and(gone));
    });
}

#[test]
fn a_full_pipe_has_no_room_until_its_reader_reads() {
    let guest = guest();
    runtime().block_on(async {
        let script =
            "trap 'head -c 4096 >/dev/null; echo read' USR1; echo ready; sleep 600 & wait; wait";
        let child = guest.spawn(&piped(script)).expect("the grant allows it");
        let stdin = stdin_of(&child);
        let stdout = stdout_of(&child);
        assert_eq!(
            stdout.read_vec(64).await.expect("the child writes"),
            b"ready\n"
        );
        assert_eq!(
            stdin.try_write(&[0; 1 << 17]).expect("the pipe has room"),
            64 * 1024
        );
        assert_eq!(stdin.room().expect("the pipe has a reader"), 0);
        child.signal(Signal::User1);
        stdin.writable().await.expect("the runtime runs");
        assert_eq!(stdin.room().expect("the pipe has a reader"), 4096);
    });
}

#[test]
fn a_caller_without_a_runtime_is_woken_by_that_of_the_registry() {
    let guest = guest();
    let child = guest.spawn(&piped("cat")).expect("the grant allows it");
    let stdout = stdout_of(&child);
    let stdin = stdin_of(&child);
    stdin.try_write(b"x").expect("the pipe has room");
    // The caller has no runtime: the reactor of the registry wakes this thread.
    let mut future = Box::pin(stdout.readable());
    let waker = std::task::Waker::from(std::sync::Arc::new(Unpark(std::thread::current())));
    let mut context = std::task::Context::from_waker(&waker);
    while future.as_mut().poll(&mut context).is_pending() {
        std::thread::park_timeout(TEST_TIMEOUT);
    }
    assert_eq!(stdout.try_read_vec(8).expect("the pipe is readable"), b"x");
}

struct Unpark(std::thread::Thread);

impl std::task::Wake for Unpark {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.unpark();
    }
}

/// The registry leaves the rest of a tree 250 ms after the leader's end to write.
/// The grandchild needs 100 ms of them. On a busy machine it may be too slow, and
/// then the test tries once more; a registry that leaves less time never passes.
#[test]
fn output_that_a_grandchild_writes_soon_after_the_leaders_end_is_read() {
    let guest = guest();
    // The grandchild reads the leader's standard input, and so waits for this test.
    let script = "exec 3<&0; (read line <&3; sleep 0.1; echo late; exec sleep 600) & echo leader";
    eventually("a line that is written late and read", || {
        runtime().block_on(async {
            let child = guest.spawn(&piped(script)).expect("the grant allows it");
            let (stdin, stdout) = (stdin_of(&child), stdout_of(&child));
            assert_eq!(child.wait(None).await, Some(ExitStatus::Exited(0)));
            // This fails if the grandchild was killed before.
            let _ = stdin.try_write(b"\n");
            drain(&stdout).await.ends_with(b"late\n")
        })
    });
}

/// A shell without arguments runs its standard input as it would run an argument.
#[test]
fn a_shell_runs_its_standard_input_unless_the_grant_refuses_it() {
    let shell = |line: &str| {
        let toml = format!(
            "version = 1\n[[component.c.command]]\nname = \"sh\"\nprogram = \"/bin/sh\"\n\
             sandbox = \"none\"\n{line}\n"
        );
        let grants = Grants::from_toml_str(&toml, Path::new("/")).expect("the test's grant loads");
        registry().guest(grants.component("c"), "")
    };
    let request = |stdin| Command {
        stdin,
        ..Command::new("sh")
    };
    let script = || Stdin::Bytes("echo injected".into());

    let open = shell("");
    let child = open.spawn(&request(script())).expect("allowed");
    assert_eq!(output(&child).1.data, b"injected\n");
    let closed = shell("stdin = false");
    for stdin in [script(), Stdin::Piped] {
        match closed.spawn(&request(stdin)) {
            Err(SpawnError::Denied(denial)) => assert_eq!(denial.item, DeniedItem::Stdio),
            other => panic!("standard input is not denied: {other:?}"),
        }
    }
    // Without it the same command starts, and reads end of file.
    let child = closed.spawn(&request(Stdin::Null)).expect("allowed");
    let (status, stdout, _) = output(&child);
    assert_eq!((status, stdout.data), (ExitStatus::Exited(0), Vec::new()));
}

//! Pipes that the guest takes.

use std::io;
use std::path::Path;

use capspawn_native::grant::Grants;
use capspawn_native::{
    Child, Command, DeniedItem, ExitStatus, KillReason, PipeReader, Signal, SpawnError, Stdin,
    Stdio,
};
use tokio::runtime::Runtime;

use crate::support::*;

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .expect("a runtime")
}

fn piped(script: &str) -> Command {
    Command {
        stdin: Stdin::Piped,
        stdout: Stdio::Piped,
        stderr: Stdio::Piped,
        ..sh(script)
    }
}

/// Reads to the end.
async fn drain(reader: &PipeReader) -> Vec<u8> {
    let mut all = Vec::new();
    loop {
        match reader.try_read_vec(64 * 1024) {
            Ok(bytes) if bytes.is_empty() => return all,
            Ok(bytes) => all.extend(bytes),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                reader.readable().await.expect("the runtime lives");
            }
            Err(error) => panic!("{error}"),
        }
    }
}

fn stdout_of(child: &Child) -> PipeReader {
    let taken = child.take_stdout().expect("it can be registered");
    taken.expect("it is taken once")
}

/// A read that takes exactly what is there learns nothing of what comes next.
#[test]
fn a_pipe_that_was_emptied_is_not_readable_until_more_comes() {
    let guest = guest();
    runtime().block_on(async {
        let child = guest.spawn(&piped("cat")).expect("allowed");
        let stdin = child.take_stdin().expect("registered").expect("once");
        let stdout = stdout_of(&child);
        for _ in 0..2 {
            stdin.try_write(b"ab").expect("room");
            stdout.readable().await.expect("the runtime lives");
            assert_eq!(stdout.try_read_vec(2).expect("ready"), b"ab");
            let silent = std::future::poll_fn(|cx| {
                std::task::Poll::Ready(stdout.poll_readable(cx).is_pending())
            });
            assert!(silent.await);
        }
        drop(stdin);
        stdout.readable().await.expect("the end is something");
        assert!(stdout.try_read_vec(1).expect("ready").is_empty());
    });
}

#[test]
fn bytes_go_in_and_come_out_and_the_drop_is_the_end_of_file() {
    let guest = guest();
    runtime().block_on(async {
        let child = guest.spawn(&piped("cat; echo end >&2")).expect("allowed");
        let stdin = child.take_stdin().expect("registered").expect("once");
        let stdout = stdout_of(&child);
        let stderr = child.take_stderr().expect("registered").expect("once");
        assert_eq!(stdin.try_write(b"a\xff\0b").expect("room"), 4);
        drop(stdin);
        assert_eq!(drain(&stdout).await, b"a\xff\0b");
        assert_eq!(drain(&stderr).await, b"end\n");
        assert_eq!(child.wait(None).await, Some(ExitStatus::Exited(0)));
    });
}

#[test]
fn a_stream_is_taken_once_and_only_where_it_was_asked_for() {
    let guest = guest();
    let child = guest.spawn(&piped("true")).expect("allowed");
    assert!(child.take_stdout().expect("registered").is_some());
    assert!(child.take_stdout().expect("nothing to register").is_none());
    let captured = guest.spawn(&sh("true")).expect("allowed");
    assert!(
        captured
            .take_stdin()
            .expect("nothing to register")
            .is_none()
    );
    assert!(
        captured
            .take_stdout()
            .expect("nothing to register")
            .is_none()
    );
    assert!(
        captured
            .take_stderr()
            .expect("nothing to register")
            .is_none()
    );
}

#[test]
fn nothing_is_read_ahead_so_that_the_child_waits_for_its_reader() {
    let guest = guest();
    runtime().block_on(async {
        let script = "head -c 65536 /dev/zero; echo full >&2; echo more; echo passed >&2; sleep 60";
        let child = guest.spawn(&piped(script)).expect("allowed");
        let stdout = stdout_of(&child);
        let stderr = child.take_stderr().expect("registered").expect("once");
        stderr.readable().await.expect("it writes");
        assert_eq!(stderr.try_read_vec(64).expect("it is there"), b"full\n");
        // The pipe holds 64 KiB and nobody has read: the shell is stuck in its second echo.
        let stuck = stderr.try_read_vec(64).expect_err("it cannot have passed");
        assert_eq!(stuck.kind(), io::ErrorKind::WouldBlock);
        let mut read = 0;
        while read < 65536 {
            stdout.readable().await.expect("it is full");
            read += stdout.try_read_vec(1 << 20).map_or(0, |bytes| bytes.len());
        }
        stderr.readable().await.expect("it goes on");
        assert_eq!(stderr.try_read_vec(64).expect("it is there"), b"passed\n");
    });
}

#[test]
fn a_dropped_reader_lets_the_child_fail_and_a_gone_reader_is_told_apart() {
    let guest = guest();
    runtime().block_on(async {
        // `yes` ends by SIGPIPE as soon as nobody reads it.
        let child = guest.spawn(&piped("exec yes")).expect("allowed");
        drop(stdout_of(&child));
        assert_eq!(child.wait(None).await, Some(ExitStatus::Signaled(13)));
        let child = guest
            .spawn(&piped("exec <&-; echo; sleep 60"))
            .expect("allowed");
        let stdin = child.take_stdin().expect("registered").expect("once");
        stdout_of(&child)
            .readable()
            .await
            .expect("it has closed its input");
        let error = stdin.try_write(b"x").expect_err("nobody reads");
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    });
}

#[test]
fn streams_outlive_the_handle_and_the_child() {
    let guest = guest();
    runtime().block_on(async {
        let child = guest.spawn(&piped("echo last words")).expect("allowed");
        let stdout = stdout_of(&child);
        child.wait(None).await;
        assert_eq!(child.release().await, ExitStatus::Exited(0));
        assert_eq!(drain(&stdout).await, b"last words\n");
    });
}

#[test]
fn a_grandchild_that_holds_the_pipe_is_cut_off_and_what_it_wrote_in_time_is_read() {
    let guest = guest();
    runtime().block_on(async {
        let script = "(echo early; exec sleep 600) & echo leader";
        let child = guest.spawn(&piped(script)).expect("allowed");
        let stdout = stdout_of(&child);
        let text = drain(&stdout).await;
        let text = String::from_utf8(text).expect("text");
        assert!(text.contains("early") && text.contains("leader"), "{text}");
        assert_eq!(child.release().await, ExitStatus::Exited(0));
    });
}

#[test]
fn piped_output_counts_against_the_limit_on_output() {
    let grant = grant("test", r#"limits = { output = "1MiB" }"#);
    let guest = registry().guest(grant, "");
    runtime().block_on(async {
        let child = guest.spawn(&piped("exec yes")).expect("allowed");
        let stdout = stdout_of(&child);
        let read = drain(&stdout).await.len();
        assert!(read >= 1024 * 1024, "the limit came too early: {read}");
        assert_eq!(
            child.wait(None).await,
            Some(ExitStatus::Killed(KillReason::Output))
        );
    });
}

#[test]
fn readiness_and_room_are_the_kernels_and_need_no_turn_of_the_runtime() {
    let guest = guest();
    runtime().block_on(async {
        let child = guest.spawn(&piped("cat")).expect("allowed");
        let stdout = stdout_of(&child);
        let stdin = child.take_stdin().expect("registered").expect("once");
        assert!(!stdout.is_readable());
        assert_eq!(stdin.room().expect("it reads"), 64 * 1024);
        assert_eq!(stdin.try_write(b"x").expect("room"), 1);
        // This task never waits, so that its runtime sees no event.
        eventually("the byte", || stdout.is_readable());
        assert_eq!(stdout.read_vec(8).await.expect("it is there"), b"x");
        assert!(!stdout.is_readable());
        child.kill(std::time::Duration::ZERO);
        eventually("the end", || stdout.is_readable());
        assert_eq!(stdout.read_vec(8).await.expect("the end"), b"");
        let gone = |error: io::Error| error.kind() == io::ErrorKind::BrokenPipe;
        // The kernel closes an ended process' files one after the other.
        eventually("no reader", || stdin.room().is_err_and(gone));
    });
}

#[test]
fn a_full_pipe_has_no_room_until_its_reader_makes_some() {
    let guest = guest();
    runtime().block_on(async {
        let script =
            "trap 'head -c 4096 >/dev/null; echo read' USR1; echo ready; sleep 600 & wait; wait";
        let child = guest.spawn(&piped(script)).expect("allowed");
        let stdin = child.take_stdin().expect("registered").expect("once");
        let stdout = stdout_of(&child);
        assert_eq!(stdout.read_vec(64).await.expect("it writes"), b"ready\n");
        assert_eq!(stdin.try_write(&[0; 1 << 17]).expect("room"), 64 * 1024);
        assert_eq!(stdin.room().expect("it reads"), 0);
        child.signal(Signal::User1);
        stdin.writable().await.expect("the runtime lives");
        assert_eq!(stdin.room().expect("it reads"), 4096);
    });
}

#[test]
fn a_caller_without_a_runtime_reads_on_the_registrys() {
    let guest = guest();
    let child = guest.spawn(&piped("cat")).expect("allowed");
    let stdout = stdout_of(&child);
    let stdin = child.take_stdin().expect("registered").expect("once");
    stdin.try_write(b"x").expect("room");
    // No runtime of its own at all: the registry's reactor wakes this thread.
    let mut future = Box::pin(stdout.readable());
    let waker = std::task::Waker::from(std::sync::Arc::new(Unpark(std::thread::current())));
    let mut context = std::task::Context::from_waker(&waker);
    while future.as_mut().poll(&mut context).is_pending() {
        std::thread::park_timeout(PATIENCE);
    }
    assert_eq!(stdout.try_read_vec(8).expect("it is there"), b"x");
}

struct Unpark(std::thread::Thread);

impl std::task::Wake for Unpark {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.unpark();
    }
}

/// Most of ten: on a busy machine one may come later than the grace allows.
#[test]
fn what_a_grandchild_writes_just_after_the_leaders_end_is_read() {
    let guest = guest();
    let late = |_: &i32| {
        let ended =
            "until read s < /proc/$$/stat && case $s in *') Z '*) :;; *) false;; esac; do :; done";
        let script = format!("({ended}; echo late; exec sleep 600) & echo leader");
        runtime().block_on(async {
            let child = guest.spawn(&piped(&script)).expect("allowed");
            let text = drain(&stdout_of(&child)).await;
            text.ends_with(b"late\n")
        })
    };
    let read = (0..10).filter(late).count();
    assert!(read > 5, "{read} of ten");
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

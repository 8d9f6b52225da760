//! Streams without WebAssembly, through the traits that `wasi:io`'s host functions
//! call.

use std::future::Future;
use std::path::Path;
use std::time::Duration;

use capspawn_native::{Child, Command, ExitStatus, Grants, Guest, Registry, Signal, Stdin, Stdio};

use super::*;
use crate::p2::tests::GRANT;

/// A child whose three streams are piped, and the guest that holds it.
struct Piped {
    _guest: Guest,
    child: Child,
}

impl Piped {
    fn new(script: &str) -> Self {
        let registry = Registry::builder().build().expect("a registry starts");
        let grants = Grants::from_toml_str(GRANT, Path::new("/")).expect("the grant loads");
        let guest = registry.guest(grants.component("test"), "");
        let command = Command {
            stdin: Stdin::Piped,
            stdout: Stdio::Piped,
            stderr: Stdio::Piped,
            ..Command::new("sh").args(["-c", script])
        };
        let child = guest.spawn(&command).expect("the grant allows it");
        Self {
            _guest: guest,
            child,
        }
    }

    fn stdin(&self) -> PipeOutput {
        PipeOutput::new(self.child.take_stdin().expect("registered").expect("once"))
    }

    fn stdout(&self) -> PipeInput {
        PipeInput::new(self.child.take_stdout().expect("registered").expect("once"))
    }

    fn stderr(&self) -> PipeInput {
        PipeInput::new(self.child.take_stderr().expect("registered").expect("once"))
    }
}

/// Fails if `future` does not complete.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), future)
        .await
        .expect("it completes within 60 s")
}

#[track_caller]
fn code<T: std::fmt::Debug>(result: StreamResult<T>) -> ErrorCode {
    match result {
        Err(StreamError::LastOperationFailed(error)) => {
            error.downcast().expect("the error is one of ours")
        }
        other => panic!("expected a failure, got {other:?}"),
    }
}

async fn drain(stream: &mut PipeInput) -> Vec<u8> {
    let mut all = Vec::new();
    loop {
        match soon(stream.blocking_read(usize::MAX)).await {
            Ok(bytes) => all.extend(bytes),
            Err(StreamError::Closed) => return all,
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test]
async fn a_read_returns_no_more_than_requested_and_the_end_is_closed() {
    let piped = Piped::new("printf abcdef");
    let mut stdout = piped.stdout();
    assert_eq!(soon(stdout.blocking_read(4)).await.unwrap(), "abcd");
    assert_eq!(stdout.read(0).unwrap(), "");
    assert_eq!(stdout.skip(1).unwrap(), 1);
    assert_eq!(soon(stdout.blocking_read(usize::MAX)).await.unwrap(), "f");
    soon(stdout.ready()).await;
    for size in [0, 10] {
        let end = soon(stdout.blocking_read(size)).await;
        assert!(size == 0 || matches!(end, Err(StreamError::Closed)));
    }
    assert!(matches!(stdout.read(0), Err(StreamError::Closed)));
}

#[tokio::test]
async fn an_empty_pipe_is_not_the_end() {
    let piped = Piped::new("read line; echo $line");
    let (mut stdin, mut stdout) = (piped.stdin(), piped.stdout());
    assert_eq!(stdout.read(10).unwrap(), "");
    soon(stdin.blocking_write_and_flush("x\n".into()))
        .await
        .unwrap();
    soon(stdout.ready()).await;
    assert_eq!(stdout.read(10).unwrap(), "x\n");
}

#[tokio::test]
async fn one_read_is_bounded_even_if_the_child_enlarges_its_pipe() {
    // The pipe grown to 1 MiB (1031 is F_SETPIPE_SZ), and filled.
    let piped = Piped::new(
        "/usr/bin/python3 -c 'import fcntl, os; fcntl.fcntl(1, 1031, 1 << 20); os.write(1, bytes(1 << 20))'; echo >&2",
    );
    let mut stdout = piped.stdout();
    soon(piped.stderr().ready()).await;
    assert_eq!(stdout.read(usize::MAX).unwrap().len(), 64 * 1024);
}

#[tokio::test]
async fn a_permit_is_as_much_as_the_pipe_takes_whole() {
    let piped = Piped::new("sleep 600");
    let mut stdin = piped.stdin();
    let (mut written, mut permits) = (0, Vec::new());
    loop {
        let permit = stdin.check_write().unwrap();
        if permit == 0 {
            break;
        }
        permits.push(permit);
        // One byte less than a page: the pipe's pages are not filled up.
        let bytes = vec![1; permit.min(4095)];
        written += bytes.len();
        stdin.write(bytes.into()).unwrap();
        assert!(stdin.pending.is_empty(), "a write is in the pipe");
    }
    assert_eq!(permits[0], 64 * 1024);
    assert!(permits[1..].iter().all(|permit| *permit == 4096));
    assert!((15 * 4095..=64 * 1024).contains(&written), "{written}");
    // The pipe is full, and a flush completes: it does not wait for the child to read.
    soon(stdin.blocking_write_and_flush("".into()))
        .await
        .unwrap();
    stdin.flush().unwrap();
    assert_eq!(soon(stdin.write_ready()).await.unwrap(), 0);
    // A wait for room does not complete.
    let wait = tokio::time::timeout(Duration::from_millis(50), stdin.ready());
    assert!(wait.await.is_err());
}

#[tokio::test]
async fn more_than_the_permit_is_a_trap() {
    let piped = Piped::new("cat");
    let mut stdin = piped.stdin();
    assert!(matches!(stdin.write("x".into()), Err(StreamError::Trap(_))));
    let permit = stdin.check_write().unwrap();
    stdin.write(vec![0; permit].into()).unwrap();
    assert!(matches!(stdin.write("x".into()), Err(StreamError::Trap(_))));
    assert!(matches!(
        stdin.write_zeroes(permit + 1),
        Err(StreamError::Trap(_))
    ));
}

#[tokio::test]
async fn bytes_that_a_shrunken_pipe_does_not_take_are_written_first() {
    // 1031 is F_SETPIPE_SZ: of the sixteen permitted pages one is left.
    let piped = Piped::new(
        "trap go=1 TERM; /usr/bin/python3 -c 'import fcntl; fcntl.fcntl(0, 1031, 4096)'; echo >&2; \
         while [ -z \"$go\" ]; do sleep 0.01; done; cat",
    );
    let (mut stdin, mut stdout) = (piped.stdin(), piped.stdout());
    let permit = stdin.check_write().unwrap();
    soon(piped.stderr().ready()).await;
    let mut bytes = vec![b'x'; permit];
    stdin.write(bytes.clone().into()).unwrap();
    assert!(
        !stdin.pending.is_empty(),
        "the pipe took less than was permitted"
    );
    // The child has read nothing so far; from now on it reads.
    piped.child.signal(Signal::Terminate);
    let write = async {
        // The wait writes the pending bytes.
        stdin.ready().await;
        assert!(stdin.pending.is_empty());
        let end = stdin.blocking_write_and_flush("end".into()).await;
        end.expect("it reads to the end");
        drop(stdin);
    };
    let ((), read) = tokio::join!(soon(write), drain(&mut stdout));
    bytes.extend(b"end");
    assert!(read == bytes, "{} bytes", read.len());
}

#[tokio::test]
async fn a_closed_reader_is_reported_once_and_is_not_the_end() {
    let piped = Piped::new("exec <&-; echo; sleep 600");
    let mut stdin = piped.stdin();
    soon(piped.stdout().ready()).await;
    // A child that another test starts holds a copy of the reading end until it executes.
    let broken = async {
        let mut permit = Ok(0);
        while permit.is_ok() {
            tokio::task::yield_now().await;
            permit = stdin.check_write();
        }
        permit
    };
    assert_eq!(code(soon(broken).await), ErrorCode::BrokenPipe);
    assert!(matches!(stdin.check_write(), Err(StreamError::Closed)));
    assert!(matches!(stdin.flush(), Err(StreamError::Closed)));
    assert!(matches!(stdin.write("x".into()), Err(StreamError::Closed)));
    soon(stdin.ready()).await;
}

#[tokio::test]
async fn a_blocking_write_reports_a_broken_pipe() {
    let piped = Piped::new("read line; exec <&-; echo; sleep 600");
    let (mut stdin, mut stdout) = (piped.stdin(), piped.stdout());
    soon(stdin.blocking_write_and_flush("x\n".into()))
        .await
        .unwrap();
    soon(stdout.ready()).await;
    // A child that another test starts holds a copy of the reading end until it executes.
    let broken = async {
        let mut written = Ok(());
        while written.is_ok() {
            written = stdin.blocking_write_and_flush("y".into()).await;
        }
        written
    };
    assert_eq!(code(soon(broken).await), ErrorCode::BrokenPipe);
}

#[tokio::test]
async fn dropping_the_input_ends_the_childs_input_after_all_written_bytes() {
    let piped = Piped::new("sleep 0.1; exec wc -c");
    let (mut stdin, mut stdout) = (piped.stdin(), piped.stdout());
    let permit = stdin.check_write().unwrap();
    stdin.write(vec![b'x'; permit].into()).unwrap();
    drop(stdin);
    assert_eq!(drain(&mut stdout).await, format!("{permit}\n").as_bytes());
    let status = soon(piped.child.wait(None)).await;
    assert_eq!(status, Some(ExitStatus::Exited(0)));
}

#[tokio::test]
async fn a_stream_that_is_always_ready_yields_the_thread() {
    let piped = Piped::new("exec yes");
    let mut stdout = piped.stdout();
    let reading = async { while stdout.blocking_read(64).await.is_ok() {} };
    // On one thread the timer only fires when the reader yields.
    let ended = tokio::time::timeout(Duration::from_millis(50), reading).await;
    assert!(ended.is_err(), "`yes` does not end");
}

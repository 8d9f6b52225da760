//! Waiting with a bound: a test that fails shows more than a test that hangs.

use std::io::Read;
use std::os::fd::AsFd;
use std::process::{Command, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::retry_on_intr;

use crate::process::pidfd;

/// How long a test waits for one event before it fails: far longer than any
/// event takes on a slow and busy machine.
pub const TEST_TIMEOUT: Duration = Duration::from_secs(120);

/// The same for a test program that runs as a child of a test.
pub const SUITE_TIMEOUT: Duration = Duration::from_secs(900);

/// Waits until `condition` is true.
///
/// # Panics
///
/// It is not true within [`TEST_TIMEOUT`]; the message names `what`.
#[track_caller]
pub fn eventually(what: &str, condition: impl FnMut() -> bool) {
    assert!(comes_true(condition), "waited {TEST_TIMEOUT:?} for {what}");
}

/// Waits until `condition` is true, and returns whether it was within
/// [`TEST_TIMEOUT`].
pub fn comes_true(mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + TEST_TIMEOUT;
    while !condition() {
        if Instant::now() > deadline {
            return false;
        }
        thread::yield_now();
    }
    true
}

/// Waits until `attempt` returns a value, and returns that.
///
/// # Panics
///
/// It returns none within [`TEST_TIMEOUT`]; the message names `what`.
#[track_caller]
pub fn wait_for<T>(what: &str, mut attempt: impl FnMut() -> Option<T>) -> T {
    let mut value = None;
    eventually(what, || {
        value = attempt();
        value.is_some()
    });
    value.expect("`eventually` returns once there is a value")
}

/// Waits until `fd` is readable or at its end of file, and returns whether it
/// was within `timeout`. Similar to `poll(2)`.
///
/// # Panics
///
/// `fd` cannot be polled.
pub fn is_readable(fd: impl AsFd, timeout: Duration) -> bool {
    let deadline = Instant::now() + timeout;
    let ready = retry_on_intr(|| {
        let left = deadline.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).expect("tests wait for minutes at most");
        poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&left))
    });
    ready.expect("the descriptor can be polled") > 0
}

/// Reads until the text contains `mark`, and returns the text so far.
///
/// # Panics
///
/// The source fails, or ends before, or does not contain `mark` within
/// [`TEST_TIMEOUT`].
#[track_caller]
pub fn read_until(source: &mut (impl Read + AsFd), mark: &str) -> String {
    let deadline = Instant::now() + TEST_TIMEOUT;
    let mut text = String::new();
    while !text.contains(mark) {
        let more = read_more(source, &mut text, deadline);
        assert!(more, "it ended before {mark:?}: {text}");
    }
    text
}

/// Reads until the end of file, and returns the text.
///
/// # Panics
///
/// The source fails, or does not end within [`TEST_TIMEOUT`].
#[track_caller]
pub fn read_to_end(source: &mut (impl Read + AsFd)) -> String {
    let deadline = Instant::now() + TEST_TIMEOUT;
    let mut text = String::new();
    while read_more(source, &mut text, deadline) {}
    text
}

/// Reads once, and returns whether there was more than the end of file.
#[track_caller]
fn read_more(source: &mut (impl Read + AsFd), text: &mut String, deadline: Instant) -> bool {
    let mut buffer = [0; 4096];
    let left = deadline.saturating_duration_since(Instant::now());
    let ready = !left.is_zero() && is_readable(&*source, left);
    assert!(ready, "neither mark nor end of file in: {text}");
    let count = source.read(&mut buffer).expect("the source can be read");
    *text += &String::from_utf8_lossy(&buffer[..count]);
    count > 0
}

/// Runs `command`, and returns its exit status.
///
/// # Panics
///
/// It does not start, or does not end within `timeout`; then it is killed.
#[track_caller]
pub fn exit_status(command: &mut Command, timeout: Duration) -> ExitStatus {
    let mut child = command.spawn().expect("the program is installed");
    let process = pidfd(child.id()).expect("the child is not reaped before the wait below");
    if !is_readable(process, timeout) {
        let _ = child.kill();
        let _ = child.wait();
        panic!("it did not end within {timeout:?}: {command:?}");
    }
    child.wait().expect("the child has ended")
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    #[test]
    fn a_wait_returns_the_first_value() {
        let mut looks = 0;
        let value = wait_for("the third look", || {
            looks += 1;
            (looks == 3).then_some("third")
        });
        assert_eq!((value, looks), ("third", 3));
    }

    #[test]
    fn reading_stops_at_the_mark_or_at_the_end() {
        let (read, write) = rustix::pipe::pipe().expect("a pipe");
        let mut read = File::from(read);
        rustix::io::write(&write, b"ready\n").expect("the pipe has room");
        assert_eq!(read_until(&mut read, "ready"), "ready\n");
        assert!(!is_readable(&read, Duration::ZERO));
        rustix::io::write(&write, b"rest").expect("the pipe has room");
        drop(write);
        assert_eq!(read_to_end(&mut read), "rest");
    }

    #[test]
    #[should_panic(expected = "ended before \"ready\"")]
    fn a_source_that_ends_before_the_mark_fails_the_test() {
        let mut null = File::open("/dev/null").expect("every machine has it");
        read_until(&mut null, "ready");
    }

    #[test]
    fn the_exit_status_is_the_commands() {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "exit 7"]);
        let status = exit_status(&mut command, TEST_TIMEOUT);
        assert_eq!(status.code(), Some(7));
    }

    #[test]
    #[should_panic(expected = "did not end")]
    fn a_command_that_does_not_end_fails_the_test() {
        let mut command = Command::new("/bin/sleep");
        exit_status(command.arg("600"), Duration::ZERO);
    }
}

//! Waiting that ends: a test that hangs shows less than one that fails.

use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::retry_on_intr;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

/// Longer than anything here takes on a slow machine, but for a whole run of the tests.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// The same for a whole run of the tests in a process of its own.
pub(crate) const RUN: Duration = Duration::from_secs(900);

/// Whether `fd` becomes readable, or ends, before `deadline`.
pub(crate) fn is_ready(fd: impl AsFd, deadline: Instant) -> bool {
    let left = deadline.saturating_duration_since(Instant::now());
    let left = Timespec::try_from(left).expect("a short time");
    let ready = retry_on_intr(|| poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&left)));
    ready.expect("it can be polled") > 0
}

/// Reads until the text holds `mark`, or without one to the end.
#[track_caller]
pub(crate) fn read_to(source: &mut (impl Read + AsFd), mark: Option<&str>) -> String {
    let deadline = Instant::now() + PATIENCE;
    let mut text = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let so_far = String::from_utf8_lossy(&text);
        if mark.is_some_and(|mark| so_far.contains(mark)) {
            return so_far.into_owned();
        }
        assert!(is_ready(&*source, deadline), "no end after: {so_far}");
        let count = source.read(&mut buffer).expect("it can be read");
        match mark {
            None if count == 0 => return so_far.into_owned(),
            Some(mark) => assert_ne!(count, 0, "it ended before {mark}: {so_far}"),
            None => {}
        }
        text.extend_from_slice(&buffer[..count]);
    }
}

/// Runs `command` to its end, and kills it where that does not come.
#[track_caller]
pub(crate) fn status(command: &mut Command, bound: Duration) -> ExitStatus {
    let mut child = command.spawn().expect("it is installed");
    let process = pidfd(&child);
    if !is_ready(process, Instant::now() + bound) {
        let _ = child.kill();
        let _ = child.wait();
        panic!("it does not end: {command:?}");
    }
    child.wait().expect("it has ended")
}

fn pidfd(child: &Child) -> OwnedFd {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    pidfd_open(pid.expect("a process"), PidfdFlags::empty()).expect("it is ours")
}

/// Waits until `condition` holds.
#[track_caller]
pub(crate) fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "never came: {what}");
        std::thread::yield_now();
    }
}

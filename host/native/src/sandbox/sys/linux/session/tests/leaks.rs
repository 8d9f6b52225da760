//! A dropped session leaves nothing behind.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::fd::{AsFd, BorrowedFd};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Signal, kill_process};

use super::support::{children, launch, null, plan, profile, script, spawner, wait};
use crate::launch::{ChildStdio, Exit};
use crate::sandbox::sys::linux::session::Session;

/// Set in the process in which a test runs alone.
const ALONE: &str = "CAPSPAWN_TEST_ALONE";
const NAME: &str = "sandbox::sys::linux::session::tests::leaks::a_thousand_sessions_leave_nothing";

/// Returns the counts of descriptors, children (zombies included), threads and mounts of this process.
fn held() -> [usize; 4] {
    let count = |path: &str| fs::read_dir(path).expect("it is there").count();
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("it is there");
    let (children, threads) = (children().len(), count("/proc/self/task"));
    // Counted last: a thread that is gone by now has closed its descriptors.
    let descriptors = count("/proc/self/fd");
    [descriptors, children, threads, mounts.lines().count()]
}

/// Waits until no child is left, and returns the same counts.
pub(crate) fn settled() -> [usize; 4] {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let held = held();
        let [_, children, threads, _] = held;
        if (children, threads) == (0, 2) {
            return held;
        }
        assert!(Instant::now() < deadline, "{held:?}");
        std::thread::yield_now();
    }
}

/// Returns whether this process runs only the test `name`. If not, runs the test in a process that does:
/// other tests open descriptors and start children at the same time.
pub(crate) fn is_alone(name: &str) -> bool {
    if std::env::var_os(ALONE).is_some() {
        return true;
    }
    let own = std::env::current_exe().expect("it runs");
    let status = Command::new(own)
        .args(["--exact", name, "--test-threads=1"])
        .env(ALONE, "1")
        .status();
    assert!(status.expect("it starts").success());
    false
}

#[test]
fn a_thousand_sessions_leave_nothing() {
    if !is_alone(NAME) {
        return;
    }
    let (spawner, profile) = (spawner(), profile());
    let one = || {
        let session = Arc::new(Session::start(&spawner, &profile).expect("it starts"));
        let child = launch(&session, &plan("/bin/true", &[]), null()).expect("it starts");
        assert_eq!(wait(&child), Ok(Exit::Code(0)));
        // Left running when its session is dropped.
        let left = script("setsid sleep 1000 & sleep 1000 & sleep 1000");
        drop(launch(&session, &left, null()).expect("it starts"));
    };
    one();
    // The first session is reaped by a thread of its own: its end is part of the baseline.
    let before = settled();
    for _ in 0..1000 {
        one();
    }
    assert_eq!(settled(), before);
}

const IDLE: &str = "sandbox::sys::linux::session::tests::leaks::an_idle_session_holds_two_descriptors_and_little_memory";

/// The pages of `capspawn-init` itself are the same for all processes.
#[test]
fn an_idle_session_holds_two_descriptors_and_little_memory() {
    const MOST_BYTES: usize = 64 * 1024;
    if !is_alone(IDLE) {
        return;
    }
    let (spawner, profile) = (spawner(), profile());
    let start = || {
        let session = Arc::new(Session::start(&spawner, &profile).expect("it starts"));
        let child = launch(&session, &plan("/bin/true", &[]), null()).expect("it starts");
        assert_eq!(wait(&child), Ok(Exit::Code(0)));
        drop(child);
        session.end_free_servers();
        test_kit::eventually("the end of the server", || session.server_count() == 0);
        session
    };
    let descriptors = || fs::read_dir("/proc/self/fd").expect("it is there").count();
    let first = start();
    let before = descriptors();
    let sessions: Vec<_> = (0..8).map(|_| start()).collect();
    assert_eq!(descriptors() - before, 2 * sessions.len());
    for session in sessions.iter().chain([&first]) {
        let own_bytes = |pid: rustix::process::Pid| {
            let text = fs::read_to_string(format!("/proc/{}/statm", pid.as_raw_nonzero()));
            // Hidden from this user, or the numbers of pages in all, resident and shared.
            let text = text.unwrap_or_default();
            let pages: Vec<usize> = text.split(' ').filter_map(|it| it.parse().ok()).collect();
            match *pages {
                [_, resident, shared, ..] => (resident - shared) * rustix::param::page_size(),
                _ => 0,
            }
        };
        let own = super::support::processes(session).map(own_bytes);
        assert!(own.iter().sum::<usize>() <= MOST_BYTES, "{own:?}");
    }
}

const KILLED_SERVER: &str =
    "sandbox::sys::linux::session::tests::leaks::a_server_killed_during_requests_leaves_nothing";

#[test]
fn a_server_killed_during_requests_leaves_nothing() {
    if !is_alone(KILLED_SERVER) {
        return;
    }
    let (spawner, profile) = (spawner(), profile());
    let text = script("sleep 1000 & exec sleep 1000");
    let one = |after: Duration| {
        let session = Arc::new(Session::start(&spawner, &profile).expect("it starts"));
        // The first server, or one of those that start children.
        let servers = [session.first_server(), session.server()];
        let server = servers[usize::from(after.as_micros().is_multiple_of(2))];
        let killed = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    while launch(&session, &text, null()).is_ok() && !killed.load(Ordering::Relaxed)
                    {
                    }
                });
            }
            let begin = Instant::now();
            while begin.elapsed() < after {
                std::hint::spin_loop();
            }
            kill_process(server, Signal::KILL).expect("it is not reaped");
            killed.store(true, Ordering::Relaxed);
        });
    };
    one(Duration::ZERO);
    // Waits for the scope's threads too.
    let before = settled();
    for round in 0..100 {
        one(Duration::from_micros(round * 37));
    }
    assert_eq!(settled(), before);
}

const KILLED_HOST: &str =
    "sandbox::sys::linux::session::tests::leaks::a_host_that_is_killed_leaves_nothing";

#[test]
fn a_host_that_is_killed_leaves_nothing() {
    if std::env::var_os(ALONE).is_some() {
        let session = Arc::new(Session::start(&spawner(), &profile()).expect("it starts"));
        let duplicate = |fd: BorrowedFd<'_>| Some(fd.try_clone_to_owned().expect("a copy"));
        let stdio = ChildStdio {
            stdin: None,
            stdout: duplicate(std::io::stdout().as_fd()),
            stderr: duplicate(std::io::stderr().as_fd()),
        };
        let text = script("setsid sleep 1000 & sleep 1000 & echo child is up >&2; wait");
        let child = launch(&session, &text, stdio).expect("it starts");
        let _ = wait(&child);
        unreachable!("the child runs until this process is killed");
    }
    let own = std::env::current_exe().expect("it runs");
    let mut host = Command::new(own)
        .args(["--exact", KILLED_HOST, "--test-threads=1", "--nocapture"])
        .env(ALONE, "1")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut lines = BufReader::new(host.stderr.take().expect("a pipe")).lines();
    let up = lines.find(|line| line.as_ref().is_ok_and(|line| line == "child is up"));
    assert!(up.is_some());
    host.kill().expect("it runs");
    host.wait().expect("it was killed");
    // The pipe ends when the last process that holds it is gone.
    assert_eq!(lines.map_while(Result::ok).count(), 0);
}

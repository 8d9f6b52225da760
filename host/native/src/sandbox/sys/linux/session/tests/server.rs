//! The server: how it is scheduled, and what it leaves when it is killed or stopped.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::pipe::pipe;
use rustix::process::{Pid, Signal, getpgid, kill_process};

use super::leaks::is_alone;
use super::support::{
    await_end, children, folder, launch, null, pidfd, plan, processes, profile, profile_of, python,
    rules, run, session, wait,
};
use crate::confinement::{Confinement, FsRoot};
use crate::launch::{ChildStdio, Stage};
use crate::sandbox::sys::linux::session::Session;

/// How long a test waits for an event.
const TEST_TIMEOUT: Duration = Duration::from_secs(30);

fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + TEST_TIMEOUT;
    while !condition() {
        assert!(
            Instant::now() < deadline,
            "no {what} within {TEST_TIMEOUT:?}"
        );
        std::thread::yield_now();
    }
}

/// Returns the scheduling policy of a process, also of one that `/proc` hides.
#[expect(unsafe_code, reason = "rustix does not have this call")]
fn policy(pid: Pid) -> i32 {
    // SAFETY: the call takes a number and no pointer.
    unsafe { libc::sched_getscheduler(pid.as_raw_nonzero().get()) }
}

#[test]
fn the_server_waits_under_sched_batch_and_its_children_do_not_inherit_that() {
    let session = session(&profile());
    let own = policy(rustix::process::getpid());
    assert_eq!(own, libc::SCHED_OTHER, "the policy of the tests");
    for _ in 0..2 {
        eventually("waiting server", || {
            policy(session.server()) == libc::SCHED_BATCH
        });
        let script = "import os; print(os.sched_getscheduler(0))";
        assert_eq!(run(&session, &plan(&python(), &["-ISc", script])).0, "0\n");
    }
}

#[test]
fn free_servers_that_are_not_kept_end_after_a_while() {
    const KEPT: u64 = 4;
    const AT_ONCE: usize = 9;
    let session = session(&profile());
    let cat = plan("/bin/cat", &[]);
    let ends: Vec<_> = (0..AT_ONCE).map(|_| pipe().expect("a pipe")).collect();
    let start = |(reader, _): &(OwnedFd, OwnedFd)| {
        let stdin = reader.try_clone().expect("a copy");
        let stdio = ChildStdio {
            stdin: Some(stdin),
            ..ChildStdio::default()
        };
        launch(&session, &cat, stdio).expect("it starts")
    };
    let children: Vec<_> = ends.iter().map(start).collect();
    assert_eq!(session.server_count(), AT_ONCE as u64);
    drop(ends);
    for child in &children {
        wait(child).expect("it ends by itself");
    }
    drop(children);
    // Those that have ended count as tasks until they are reaped.
    eventually("end of the surplus", || session.server_count() == KEPT);
    assert_eq!(session.servers.ended_count(), 0);
    let echo = plan("/bin/echo", &["on"]);
    assert_eq!(run(&session, &echo).0, "on\n");
    assert_eq!(session.server_count(), KEPT);
}

const LOST: &str = "sandbox::sys::linux::session::tests::server::a_child_that_its_killed_server_did_not_report_is_reaped";

/// Takes a write lease on a file: another process that opens it waits until standard input ends.
const LEASE: &str = "\
import fcntl, signal, sys
signal.signal(signal.SIGIO, signal.SIG_IGN)
file = open(sys.argv[1])
fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
print('taken', flush=True)
sys.stdin.read()
";

#[test]
fn a_child_that_its_killed_server_did_not_report_is_reaped() {
    // The test could not distinguish its child from those of other tests.
    if !is_alone(LOST) {
        return;
    }
    let folder = folder();
    let program = folder.path().join("true");
    fs::copy("/bin/true", &program).expect("a copy");
    let mut fs_rules = rules();
    fs_rules
        .read
        .push(FsRoot::resolve(folder.path()).expect("it exists"));
    let session = session(&profile_of(Confinement {
        fs: fs_rules,
        ..Confinement::default()
    }));
    let mut lease = Command::new(python())
        .args(["-ISc", LEASE])
        .arg(&program)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut line = String::new();
    let mut stdout = BufReader::new(lease.stdout.take().expect("a pipe"));
    stdout.read_line(&mut line).expect("text");
    assert_eq!(line, "taken\n");
    let server = session.server();
    let delayed = plan(program.to_str().expect("text"), &[]);
    let (child, error) = std::thread::scope(|scope| {
        let request = scope.spawn(|| launch(&session, &delayed, null()));
        // A child outside the server's group has announced itself. It then waits for the file.
        let mut child = None;
        eventually("child that is about to execute", || {
            child = about_to_execute(&session);
            child.is_some()
        });
        let ended = pidfd(server);
        kill_process(server, Signal::KILL).expect("it runs");
        await_end(ended.as_fd());
        // The child executes, which closes its copy of the server's socket.
        drop(lease.stdin.take());
        (child, request.join().expect("it does not panic"))
    });
    let error = error.expect_err("no reply reported it");
    // It may have run: nobody may start it again by himself.
    assert_eq!(error.stage, Stage::Reply);
    lease.wait().expect("it ends");
    drop(session);
    let child = child.expect("it was found");
    eventually("reaped child", || getpgid(Some(child)).is_err());
}

/// Returns a child that the server has started and that leads a process group of its own. The lease
/// keeps it from executing its program.
fn about_to_execute(session: &Session) -> Option<Pid> {
    let known = processes(session);
    let leads_group = |pid: &Pid| getpgid(Some(*pid)) == Ok(*pid);
    let mut started = children().into_iter().filter(|pid| !known.contains(pid));
    started.find(leads_group)
}

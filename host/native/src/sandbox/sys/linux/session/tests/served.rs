//! How the server serves, and what it leaves behind.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::leaks::is_alone;
use super::support::{
    folder, launch, null, plan, processes, profile, profile_of, python, rules, run, session,
    spawner,
};
use crate::confinement::{Confinement, FsRoot};
use crate::launch::{Scope, Stage};
use crate::sandbox::sys::linux::session::Session;
use crate::sandbox::sys::linux::session::pool::Sessions;

/// How long a test waits for what is bound to happen.
const PATIENCE: Duration = Duration::from_secs(30);

fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "never came: {what}");
        std::thread::yield_now();
    }
}

/// The fields of the process after its name, from its state on.
fn stat(pid: Pid) -> Option<Vec<String>> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    let (_, fields) = stat.rsplit_once(") ")?;
    Some(fields.split(' ').map(str::to_owned).collect())
}

/// The scheduling policy: common (0) or batch (3).
fn policy(pid: Pid) -> Option<String> {
    stat(pid)?.get(38).cloned()
}

#[test]
fn the_server_waits_as_a_batch_process_and_its_children_are_none() {
    let session = session(&profile());
    let own = policy(rustix::process::getpid());
    assert_eq!(own.as_deref(), Some("0"), "the tests are common processes");
    for _ in 0..2 {
        eventually("that it waits", || {
            policy(session.server()).as_deref() == Some("3")
        });
        let script = "import os; print(os.sched_getscheduler(0))";
        assert_eq!(run(&session, &plan(&python(), &["-ISc", script])).0, "0\n");
    }
}

const LOST: &str = "sandbox::sys::linux::session::tests::served::a_child_that_its_killed_server_could_not_tell_of_is_reaped";

/// Takes a write lease of a file: whoever opens it waits until standard input ends.
const LEASE: &str = "\
import fcntl, signal, sys
signal.signal(signal.SIGIO, signal.SIG_IGN)
file = open(sys.argv[1])
fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
print('taken', flush=True)
sys.stdin.read()
";

#[test]
fn a_child_that_its_killed_server_could_not_tell_of_is_reaped() {
    // The children of other tests would be taken for this one's.
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
    let mut said = BufReader::new(lease.stdout.take().expect("a pipe"));
    said.read_line(&mut line).expect("text");
    assert_eq!(line, "taken\n");
    let held_up = plan(program.to_str().expect("text"), &[]);
    let (child, error) = std::thread::scope(|scope| {
        let asked = scope.spawn(|| launch(&session, &held_up, null()));
        // It has left the server's group, so that it has said its word; then it waits for the file.
        let mut child = None;
        eventually("a child about to execute", || {
            child = about_to_execute(&session);
            child.is_some()
        });
        kill_process(session.server(), Signal::KILL).expect("it runs");
        eventually("its end", || {
            stat(session.server()).is_none_or(|fields| fields[0] == "Z")
        });
        // The child executes, and with that lets go of the server's socket.
        drop(lease.stdin.take());
        (child, asked.join().expect("it is answered"))
    });
    let error = error.expect_err("nobody has told of it");
    assert_eq!(error.stage, Stage::Request);
    lease.wait().expect("it ends");
    drop(session);
    let child = child.expect("it was there");
    eventually("that it is reaped", || stat(child).is_none());
}

/// A child of this process that the server has made, which leads a group of its own and executes
/// the helper still.
fn about_to_execute(session: &Session) -> Option<Pid> {
    let known = processes(session);
    let own = std::process::id().to_string();
    let all = fs::read_dir("/proc").expect("it is there").flatten();
    let mut pids = all.filter_map(|entry| {
        let number = entry.file_name().to_str()?.parse().ok()?;
        Pid::from_raw(number)
    });
    pids.find(|pid| {
        let leads = stat(*pid).is_some_and(|fields| {
            fields[1] == own && fields[2] == pid.as_raw_nonzero().to_string()
        });
        let name = fs::read_to_string(format!("/proc/{}/comm", pid.as_raw_nonzero()));
        let name = name.unwrap_or_default();
        leads && !known.contains(pid) && name.starts_with("memfd:")
    })
}

#[test]
fn a_session_that_does_not_answer_in_time_is_given_up() {
    let (spawner, sessions, scope) = (spawner(), Sessions::default(), Scope(7));
    let mut program = plan("/bin/true", &[]);
    program.confinement = profile().confinement;
    let start = || sessions.launch(&spawner, scope, &program, &null());
    start().expect("it starts");
    let hangs = sessions.of(scope).pop().expect("one");
    hangs.wait_no_longer_than(Duration::from_millis(50));
    kill_process(hangs.server(), Signal::STOP).expect("it runs");
    let error = start().expect_err("nobody answers");
    assert_eq!(
        (error.stage, error.source.kind()),
        (Stage::Request, std::io::ErrorKind::TimedOut)
    );
    // What may still come is for nobody, and the next one gets another session.
    start().expect("it starts");
    assert!(
        sessions
            .of(scope)
            .iter()
            .all(|other| !Arc::ptr_eq(other, &hangs))
    );
}

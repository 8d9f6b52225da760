//! The server: how it is scheduled, and what it leaves when it is killed or stopped.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::leaks::is_alone;
use super::support::{
    folder, launch, null, plan, processes, profile, profile_of, python, rules, run, session,
};
use crate::confinement::{Confinement, FsRoot};
use crate::launch::Stage;
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

/// Returns the fields of `/proc/PID/stat` after the name; the first is the state.
fn stat(pid: Pid) -> Option<Vec<String>> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    let (_, fields) = stat.rsplit_once(") ")?;
    Some(fields.split(' ').map(str::to_owned).collect())
}

/// Returns the scheduling policy: SCHED_OTHER (0) or SCHED_BATCH (3).
fn policy(pid: Pid) -> Option<String> {
    stat(pid)?.get(38).cloned()
}

#[test]
fn the_server_waits_under_sched_batch_and_its_children_do_not_inherit_that() {
    let session = session(&profile());
    let own = policy(rustix::process::getpid());
    assert_eq!(own.as_deref(), Some("0"), "the tests run under SCHED_OTHER");
    for _ in 0..2 {
        eventually("waiting server", || {
            policy(session.server()).as_deref() == Some("3")
        });
        let script = "import os; print(os.sched_getscheduler(0))";
        assert_eq!(run(&session, &plan(&python(), &["-ISc", script])).0, "0\n");
    }
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
    let delayed = plan(program.to_str().expect("text"), &[]);
    let (child, error) = std::thread::scope(|scope| {
        let request = scope.spawn(|| launch(&session, &delayed, null()));
        // A child outside the server's group has announced itself. It then waits for the file.
        let mut child = None;
        eventually("child that is about to execute", || {
            child = about_to_execute(&session);
            child.is_some()
        });
        kill_process(session.server(), Signal::KILL).expect("it runs");
        eventually("end of the server", || {
            stat(session.server()).is_none_or(|fields| fields[0] == "Z")
        });
        // The child executes, which closes its copy of the server's socket.
        drop(lease.stdin.take());
        (child, request.join().expect("it does not panic"))
    });
    let error = error.expect_err("no reply reported it");
    assert_eq!(error.stage, Stage::Request);
    lease.wait().expect("it ends");
    drop(session);
    let child = child.expect("it was found");
    eventually("reaped child", || stat(child).is_none());
}

/// Returns a child of this process that the server has started, that leads a process group, and that
/// still executes `capspawn-init`.
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

//! Servers of tier B that do not reply: they and their children are killed, and others take their place.

#![expect(clippy::disallowed_types, reason = "the host's own programs")]

use std::io::{self, BufRead, BufReader};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use capspawn_raw::step::Fault;
use rustix::process::{Pid, PidfdFlags, Signal, getpgid, kill_process, pidfd_open};
use test_kit::{children_of_this_thread, eventually, scratch, with_arguments};

use super::*;
use crate::launch::LaunchError;

/// How long a test lets servers be silent.
const SHORT: Duration = Duration::from_millis(50);

#[test]
fn a_first_server_that_does_not_reply_is_replaced() {
    if !landlock::has_signal_scope() {
        return;
    }
    let plan = plan();
    let launcher = launcher(None, false, Fault::NONE);
    let run = || {
        let process = launcher.launch(Scope(0), &plan, null()).expect("it starts");
        assert_eq!(wait(&*process), Exit::Code(0));
    };
    run();
    let servers = launcher.spawner.alone_servers().expect("they run");
    let first = servers.first();
    // The next child needs another server, which the first does not start.
    let claimed = servers.claim().expect("one is free");
    servers.servers().set_start_time(SHORT);
    kill_process(first, Signal::STOP).expect("it runs");
    run();
    let others = launcher.spawner.alone_servers().expect("they run");
    assert_ne!(others.first(), first);
    drop((others, claimed, servers));
    eventually("the end of the first server", || {
        getpgid(Some(first)).is_err()
    });
    run();
    drop(launcher);
    eventually("the end of all servers", || children() == 0);
}

#[test]
fn a_stopped_server_that_is_not_needed_any_more_ends() {
    if !landlock::has_signal_scope() {
        return;
    }
    let plan = plan();
    let launcher = launcher(None, false, Fault::NONE);
    let process = launcher.launch(Scope(0), &plan, null()).expect("it starts");
    assert_eq!(wait(&*process), Exit::Code(0));
    drop(process);
    let servers = launcher.spawner.alone_servers().expect("they run");
    let free = servers.claim().expect("one is free").pid();
    drop(servers);
    kill_process(free, Signal::STOP).expect("it runs");
    drop(launcher);
    eventually("the end of all servers", || children() == 0);
}

/// A program that cannot be executed as long as another process has a write lease on it.
struct Delayed {
    _folder: tempfile::TempDir,
    plan: Plan,
    lease: Child,
}

impl Delayed {
    const LEASE: &str = "\
import fcntl, signal, sys
signal.signal(signal.SIGIO, signal.SIG_IGN)
file = open(sys.argv[1])
fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
print('taken', flush=True)
sys.stdin.read()
";

    fn new() -> Self {
        let folder = scratch();
        let program = folder.path().join("true");
        std::fs::copy("/bin/true", &program).expect("a copy");
        let mut plan = plan();
        let mut confinement = Confinement::clone(&plan.confinement);
        confinement.fs.read.push(root(folder.path()));
        plan.confinement = Arc::new(confinement);
        plan.program = Arc::new(Program::open(&program).expect("it exists"));
        // An open file description other than the lease's own would break it at once: the plan's is for execution alone.
        let mut lease = Command::new("/usr/bin/python3")
            .args(["-ISc", Self::LEASE])
            .arg(&program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("tests need Python");
        let mut line = String::new();
        let mut stdout = BufReader::new(lease.stdout.take().expect("a pipe"));
        stdout.read_line(&mut line).expect("text");
        assert_eq!(line, "taken\n");
        Self {
            _folder: folder,
            plan,
            lease,
        }
    }

    /// Launches the program, and has `meanwhile` run while its child, which it gets, waits to execute.
    fn launch(
        &self,
        launcher: &NativeLauncher,
        meanwhile: impl FnOnce(Pid),
    ) -> Result<Box<dyn Process>, LaunchError> {
        let known = children_of_this_thread();
        std::thread::scope(|scope| {
            let plan = &self.plan;
            let launching = scope.spawn(move || launcher.launch(Scope(0), plan, null()));
            let mut child = None;
            eventually("a child that is about to execute", || {
                let started = children_of_this_thread().into_iter();
                let started = started.filter(|pid| !known.contains(pid));
                child = started
                    .filter_map(|pid| Pid::from_raw(pid.cast_signed()))
                    .find(|pid| getpgid(Some(*pid)) == Ok(*pid));
                child.is_some() || launching.is_finished()
            });
            meanwhile(child.expect("it is waiting"));
            launching.join().expect("it does not panic")
        })
    }
}

impl Drop for Delayed {
    fn drop(&mut self) {
        drop(self.lease.stdin.take());
        let _ = self.lease.wait();
    }
}

fn root(path: &Path) -> FsRoot {
    FsRoot::resolve(path).expect("it exists")
}

fn pidfd(pid: Pid) -> OwnedFd {
    pidfd_open(pid, PidfdFlags::empty()).expect("it is not reaped")
}

/// A launcher of tier B whose servers run, and the pid of the one that starts the next child.
fn started() -> (NativeLauncher, Pid) {
    let launcher = launcher(None, false, Fault::NONE);
    let process = launcher.launch(Scope(0), &plan(), null());
    wait(&*process.expect("it starts"));
    let servers = launcher.spawner.alone_servers().expect("they run");
    let server = servers.claim().expect("one is free");
    let pid = server.pid();
    server.set_reply_timeout(Duration::from_secs(60));
    (launcher, pid)
}

#[test]
fn a_child_that_does_not_execute_in_time_is_killed_and_reaped() {
    if !landlock::has_signal_scope() {
        return;
    }
    let delayed = Delayed::new();
    let (launcher, server) = started();
    let servers = launcher.spawner.alone_servers().expect("they run");
    servers
        .claim()
        .expect("one is free")
        .set_reply_timeout(SHORT);
    drop(servers);
    let mut child = None;
    let error = delayed
        .launch(&launcher, |pid| child = Some(pid))
        .expect_err("it does not execute");
    assert_eq!(
        (error.stage, error.source.kind()),
        (Stage::Reply, io::ErrorKind::TimedOut)
    );
    for pid in [child.expect("it was found"), server] {
        eventually("reaped processes", || getpgid(Some(pid)).is_err());
    }
    let process = launcher.launch(Scope(0), &plan(), null());
    assert_eq!(wait(&*process.expect("it starts")), Exit::Code(0));
    drop(launcher);
}

#[test]
fn the_child_of_a_killed_server_is_killed_and_reaped() {
    if !landlock::has_signal_scope() {
        return;
    }
    let delayed = Delayed::new();
    let (launcher, server) = started();
    let mut child = None;
    // It does not end by itself: the lease is held.
    let error = delayed.launch(&launcher, |pid| {
        child = Some(pid);
        kill_process(server, Signal::KILL).expect("it runs");
    });
    let error = error.expect_err("its program may have run");
    assert_eq!(
        (error.stage, error.source.kind()),
        (Stage::Reply, io::ErrorKind::BrokenPipe)
    );
    for pid in [child.expect("it was found"), server] {
        eventually("reaped processes", || getpgid(Some(pid)).is_err());
    }
}

/// The signal is a message, which a server that is killed leaves unread.
#[test]
fn a_tree_ends_though_its_server_is_killed_before_it_serves_the_signal() {
    if !landlock::has_signal_scope() {
        return;
    }
    let marker = format!("7002.{}", std::process::id());
    let mut tree = plan();
    tree.program = Arc::new(Program::open("/bin/sh").expect("it exists"));
    let script =
        format!("(setsid setsid sleep {marker} &) ; setsid sleep {marker} & exec sleep {marker}");
    tree.argv = vec!["sh".into(), "-c".into(), script.into()];
    // Neither the shell nor `setsid`, of which some are about to end.
    let running = || with_arguments(&["sleep", &marker]);
    for is_dropped_first in [true, false] {
        // A cgroup of version 2 names the tree too.
        let spawner = Spawner::new(default_user(), false, Fault::NONE).without_cgroups();
        let launcher = NativeLauncher::over(spawner, Some(Tier::B));
        wait(
            &*launcher
                .launch(Scope(0), &plan(), null())
                .expect("it starts"),
        );
        let servers = launcher.spawner.alone_servers().expect("they run");
        let server = servers.claim().expect("one is free").pid();
        drop(servers);
        let process = launcher.launch(Scope(0), &tree, null()).expect("it starts");
        eventually("a tree", || running().len() == 3);
        kill_process(server, Signal::STOP).expect("it runs");
        process
            .signal_tree(crate::Signal::Kill)
            .expect("it is sent");
        assert_eq!(wait(&*process), Exit::Signal(9));
        let kill = || {
            let ended = pidfd(server);
            kill_process(server, Signal::KILL).expect("it is stopped");
            poll(&mut [PollFd::new(&ended, PollFlags::IN)], None).expect("it can be polled");
        };
        assert_eq!(running().len(), 2);
        if is_dropped_first {
            drop(process);
            kill();
            drop(launcher);
        } else {
            kill();
            drop(process);
        }
        eventually("the end of the tree", || with_argument(&marker).is_empty());
    }
}

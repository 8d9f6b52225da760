//! What a session has of its own. The tests pass at once in a tier without
//! sessions.

use std::fs::{self, File};
use std::io;
use std::net::TcpListener;

use capspawn_native::launch::{ChildStdio, Exit, Launcher as _};
use capspawn_native::sandbox::{Network, Tier};
use libc::{ECONNREFUSED, ENOENT, EPERM, ESRCH};
use rustix::fs::{FlockOperation, StatVfsMountFlags, flock};
use test_kit::{eventually, read_until};

use crate::attempt::{Attempt, SUCCEEDED, Target, assert_fails, assert_succeeds};
use crate::installed::installed;
use crate::launcher::{OwnScope, launcher, tier};
use crate::processes::{SIGNAL, inner_pid};
use crate::sockets::connect_tcp;
use crate::spec::{Spec, ended};

pub(crate) const SINGLE: &[Attempt] = &[CONNECT, READ, STAT, HOLD, LOCK_STREAM];

const LOCK_STREAM: Attempt = Attempt::new("lock the standard input", |_| {
    Ok(flock(
        io::stdin(),
        FlockOperation::NonBlockingLockExclusive,
    )?)
});
const CONNECT: Attempt = Attempt::new("connect to a session", connect_tcp);
const READ: Attempt = Attempt::new("read a session's file", |target| {
    File::open(&target.text).map(drop)
});
const STAT: Attempt = Attempt::new("stat in a session", |target| {
    fs::metadata(&target.text).map(drop)
});
const HOLD: Attempt = Attempt::new("hold a port and a file", hold);

/// Serves and keeps a file until it is killed, as a target of other children.
fn hold(_: &Target) -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    fs::write("/tmp/secret", "s")?;
    println!("port={} ready", listener.local_addr()?.port());
    loop {
        std::thread::park();
    }
}

/// Whether children are in sessions: in tier A.
pub(crate) fn is_session() -> bool {
    let is = tier() == Tier::A;
    if !is {
        println!("tier {} has no sessions", tier());
    }
    is
}

fn output(spec: &Spec, guest: &OwnScope) -> String {
    let started = spec.start_as(launcher(), guest.0);
    started.expect("it starts").finish().output
}

fn shell(script: &str) -> Spec {
    Spec::new("/bin/sh").args(["-c", script])
}

#[test]
fn two_sessions_of_one_guest_cannot_reach_each_other() {
    if !is_session() {
        return;
    }
    // Another network is another profile, and so another session.
    let in_first = |attempt: Attempt| attempt.spec().network(Network::Host);
    let mut held = in_first(HOLD).start().expect("it starts");
    let text = read_until(&mut held.output, "ready");
    let port = text.split("port=").nth(1).expect("it prints a port");
    let port = port.split(' ').next().expect("a split has a first part");
    let address = format!("127.0.0.1:{port}");
    let pid = held.process.pid();
    // A child of the same profile is in the same session.
    assert_succeeds(&in_first(CONNECT).at(&address));
    assert_succeeds(&in_first(READ).at("/tmp/secret"));
    assert_succeeds(&in_first(STAT).at(format!("/proc/{}/stat", inner_pid(pid))));
    // The second session runs at the same time.
    assert_fails(&CONNECT.spec().at(&address), EPERM);
    let with_loopback = CONNECT.spec().network(Network::Loopback);
    assert_fails(&with_loopback.at(&address), ECONNREFUSED);
    assert_fails(&READ.spec().at("/tmp/secret"), ENOENT);
    assert_fails(&SIGNAL.spec().at_process(pid), ESRCH);
    assert_fails(&STAT.spec().at(format!("/proc/{pid}/stat")), ENOENT);
    drop(held);
}

#[test]
fn each_guest_has_its_own_tmp() {
    if !is_session() {
        return;
    }
    let (one, other) = (OwnScope::new(), OwnScope::new());
    let write = shell("echo secret > /tmp/file; cat /tmp/file");
    assert_eq!(output(&write, &one), "secret\n");
    let read = shell("cat /tmp/file 2>/dev/null || echo none");
    assert_eq!(output(&read, &one), "secret\n");
    assert_eq!(output(&read, &other), "none\n");
    // The next session of the guest starts empty.
    launcher().close(one.0);
    assert_eq!(output(&read, &one), "none\n");
}

#[test]
fn proc_shows_only_the_session() {
    if !is_session() {
        return;
    }
    let list = "echo $$; for p in /proc/[0-9]*; do echo ${p#/proc/}; done";
    let text = output(&shell(list), &OwnScope::new());
    let mut pids: Vec<_> = text.lines().collect();
    let own = pids.remove(0);
    // The server that has started the child is in the pid namespace where it has a Landlock domain.
    let servers = pids
        .iter()
        .filter(|pid| **pid != "1" && **pid != own)
        .count();
    // A host may mount no /proc where parts of its own are covered by other mounts.
    let has_proc = pids.contains(&"1") && pids.contains(&own);
    assert!(servers <= 1 && has_proc || pids == ["[0-9]*"], "{text}");
}

/// The cgroups that the host makes for children may be seen, and nothing above them.
#[test]
fn proc_hides_the_machines_command_line_swap_keys_and_cgroups() {
    if !is_session() {
        return;
    }
    let script = "for f in cmdline swaps keys key-users; do test -r /proc/$f && cat /proc/$f; done; \
                  sed 's/.*:/cgroup /; s#/capspawn-.*#/#' /proc/self/cgroup | sort -u; echo x > /proc/self/comm; wc -l < /proc/cpuinfo";
    let text = output(&shell(script), &OwnScope::new());
    if text.contains("cpuinfo") {
        println!("this host may not mount a /proc");
        return;
    }
    let mut lines = text.lines();
    // With version 2 the server could not clone a child into its cgroup from a namespace.
    let own = fs::read_to_string("/proc/self/cgroup").expect("it is mounted");
    let is_version_2 = own.lines().count() == 1;
    let first = lines.next();
    assert!(first == Some("cgroup /") || is_version_2, "{text}");
    assert!(
        lines.next().is_some_and(|it| it.contains("Read-only")),
        "{text}"
    );
    let processors = lines.next().and_then(|count| count.parse::<u32>().ok());
    assert!(processors > Some(0), "{text}");
    let line = fs::read("/proc/cmdline").expect("it is mounted");
    assert!(!line.is_empty(), "the machine has a command line to hide");
}

/// Half of the instances that the kernel allows a user by default, so that one session does not use
/// up the user's.
#[test]
fn a_session_has_its_own_bounds_on_inotify() {
    let sysctl = rustix::fs::statvfs("/proc/sys").expect("/proc is mounted");
    if !is_session() || sysctl.f_flag.contains(StatVfsMountFlags::RDONLY) {
        println!("a session cannot set bounds here");
        return;
    }
    let script = "cd /proc/sys/user && cat max_inotify_instances max_inotify_watches";
    let text = output(&shell(script), &OwnScope::new());
    if text.contains("can't cd") {
        println!("this host may not mount a /proc");
        return;
    }
    assert_eq!(text, "64\n16384\n");
}

/// The null device of a session is the host's file.
#[test]
fn a_lock_on_the_null_device_ends_with_the_child() {
    let null = File::options()
        .write(true)
        .open("/dev/null")
        .expect("a device");
    let lock = || flock(&null, FlockOperation::NonBlockingLockExclusive);
    let guest = OwnScope::new();
    let plan = LOCK_STREAM.spec().plan();
    for _ in 0..3 {
        let child = launcher().launch(guest.0, &plan, ChildStdio::default());
        let child = child.expect("it starts");
        assert_eq!(ended(&*child), Exit::Code(SUCCEEDED));
        child.reap().expect("it has ended");
        // Other tests lock it for a moment; the session, which lives on, does not hold the lock.
        eventually("the lock", || lock().is_ok());
        flock(&null, FlockOperation::Unlock).expect("it is open");
    }
}

#[test]
fn the_root_is_read_only_and_contains_only_what_is_granted() {
    if !is_session() {
        return;
    }
    let text = output(
        &shell("ls /; touch /new /dev/new 2>&1 | grep -c only"),
        &OwnScope::new(),
    );
    assert_eq!(text, "bin\ndev\netc\nlib\nlib64\nproc\nsbin\ntmp\nusr\n2\n");
}

/// Forks sleepers until a fork fails, prints how many there are, and kills them and itself.
const FORKS: &str = "import os, time\nn = 0\ntry:\n  while n < 100:\n    if os.fork() == 0:\n      time.sleep(600)\n      os._exit(0)\n    n += 1\nexcept OSError as e:\n  print(n, e.errno)\nelse:\n  print(n)\nos.kill(0, 9)\n";

#[test]
fn the_cap_on_tasks_is_exact_and_counts_the_whole_session() {
    let Some(python) = installed("python3", "python3").filter(|_| is_session()) else {
        return;
    };
    let guest = OwnScope::new();
    let mut spec = Spec::new(fs::canonicalize(python).expect("it is installed"));
    spec = spec.args(["-uc", FORKS]);
    spec.limits.processes = Some(10);
    // The program itself is one of the ten, and so is a sleeper that another child is.
    assert_eq!(output(&spec, &guest), format!("9 {}\n", libc::EAGAIN));
    let mut sleeper = Spec::new("/bin/sleep").args(["600"]);
    sleeper.limits.processes = Some(10);
    let sleeper = sleeper.start_as(launcher(), guest.0).expect("it starts");
    assert_eq!(output(&spec, &guest), format!("8 {}\n", libc::EAGAIN));
    drop(sleeper);
    spec.limits.processes = None;
    assert_eq!(output(&spec, &guest), "100\n");
}

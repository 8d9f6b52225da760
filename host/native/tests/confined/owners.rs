//! What the children of different owners of a root host share, and what they do not.
//!
//! The owners are guests of the shared launcher, which it treats as owners of their own.
//! Children of an unprivileged host run as the host's user, whatever their owner is.

use std::fs;

use capspawn_native::launch::{Exit, Launcher, OwnerUids, Scope};
use capspawn_native::sandbox::{NativeLauncher, Sandbox, Tier};
use capspawn_native::{LaunchError, Shortage, Signal, Stage};
use libc::{EACCES, EPERM};
use test_kit::{comes_true, eventually, is_root, read_until, with_argument, with_arguments};

use crate::attempt::{Attempt, Outcome};
use crate::launcher::{OwnScope, launcher, tier};
use crate::processes::{ENVIRONMENT, SIGNAL, TRACE, may_trace};
use crate::spec::{Run, Spec, Started};

pub(crate) const SANDBOXES: [Sandbox; 2] = [Sandbox::Required, Sandbox::None];

pub(crate) fn shell(script: &str) -> Spec {
    Spec::new("/bin/sh").args(["-c", script])
}

fn python(script: &str) -> Spec {
    let mut spec = Spec::new("/usr/bin/python3").args(["-c", script]);
    spec.limits.open_files = Some(64);
    spec
}

pub(crate) fn start(spec: &Spec, owner: &OwnScope) -> Started {
    let started = spec.start_as(launcher(), owner.0);
    started.unwrap_or_else(|error| panic!("{}: {error}", spec.program.display()))
}

pub(crate) fn run(spec: &Spec, owner: &OwnScope) -> Run {
    start(spec, owner).finish()
}

pub(crate) fn end(started: Started) {
    started.process.signal(Signal::Kill).expect("it is a child");
    started.finish();
}

/// The user of a process, as the host sees it.
pub(crate) fn user(pid: u32) -> u32 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find(|line| line.starts_with("Uid:"));
    let uid = line.and_then(|line| line.split_whitespace().nth(1));
    uid.and_then(|uid| uid.parse().ok()).expect("a user")
}

#[test]
fn an_unconfined_child_of_one_owner_can_neither_signal_nor_read_nor_trace_anothers() {
    if !is_root() {
        return;
    }
    let (one, other) = (OwnScope::new(), OwnScope::new());
    let sleeper = Spec::new("/bin/sleep").args(["600"]);
    for sandbox in SANDBOXES {
        let victim = start(&sleeper.clone().sandbox(sandbox), &one);
        let pid = victim.process.pid();
        let attacks: &[(Attempt, i32)] = match may_trace() {
            true => &[(SIGNAL, EPERM), (ENVIRONMENT, EACCES), (TRACE, EPERM)],
            false => &[(SIGNAL, EPERM), (ENVIRONMENT, EACCES)],
        };
        for (attack, errno) in attacks {
            let attack = attack.spec().at_process(pid).sandbox(Sandbox::None);
            let found = run(&attack, &other);
            assert_eq!(found.outcome(), Some(Outcome::Fails(*errno)), "{found}");
            // Only the owner's user keeps the other one out. Another child of the same owner may; a
            // confined process is of a user namespace of its own, or of a Landlock domain.
            let found = run(&attack, &one);
            if sandbox == Sandbox::None {
                assert_eq!(found.outcome(), Some(Outcome::Succeeds), "{found}");
            }
        }
        end(victim);
    }
}

#[test]
fn an_unconfined_child_cannot_signal_the_server_and_the_pid_1_of_anothers_session() {
    if !is_root() || tier() != Tier::A {
        return;
    }
    let (one, other) = (OwnScope::new(), OwnScope::new());
    let victim = start(&Spec::new("/bin/sleep").args(["600"]), &one);
    let owners = user(victim.process.pid());
    let processes = fs::read_dir("/proc").expect("a /proc").filter_map(|entry| {
        let name = entry.ok()?.file_name();
        name.to_str()?.parse::<u32>().ok()
    });
    let is_owners = |pid: &u32| {
        let path = format!("/proc/{pid}/status");
        fs::read_to_string(path).is_ok() && user(*pid) == owners
    };
    let all: Vec<_> = processes.filter(is_owners).collect();
    assert_eq!(all.len(), 4, "two servers, pid 1 and the child");
    for pid in all {
        let attack = SIGNAL.spec().at_process(pid).sandbox(Sandbox::None);
        let found = run(&attack, &other);
        assert_eq!(found.outcome(), Some(Outcome::Fails(EPERM)), "{found}");
        let found = run(&attack, &one);
        assert_eq!(found.outcome(), Some(Outcome::Succeeds), "{found}");
    }
    end(victim);
}

/// Makes inotify instances until the kernel refuses one, and keeps them.
const ALL_INSTANCES: &str = "
import ctypes, os, sys, time
libc = ctypes.CDLL(None, use_errno=True)
while libc.inotify_init() >= 0: pass
print('full', flush=True)
time.sleep(600)";

const ONE_INSTANCE: &str = "
import ctypes
print(ctypes.CDLL(None).inotify_init() >= 0)";

#[test]
fn one_owner_cannot_use_up_the_inotify_instances_of_another() {
    if !is_root() {
        return;
    }
    let (one, other) = (OwnScope::new(), OwnScope::new());
    for sandbox in SANDBOXES {
        // Outside a session a confined child has no inotify at all.
        if sandbox == Sandbox::Required && tier() != Tier::A {
            continue;
        }
        let mut all = python(ALL_INSTANCES).sandbox(sandbox);
        all.limits.open_files = Some(4096);
        let mut holder = start(&all, &one);
        read_until(&mut holder.output, "full");
        let one_more = python(ONE_INSTANCE).sandbox(sandbox);
        assert_eq!(run(&one_more, &one).output, "False\n", "{sandbox}");
        assert_eq!(run(&one_more, &other).output, "True\n", "{sandbox}");
        end(holder);
    }
}

/// Sends descriptors that nobody receives until the kernel refuses more, and keeps them.
const ALL_IN_FLIGHT: &str = "
import array, errno, os, socket, time
ends = [socket.socketpair() for _ in range(20)]
def send(end):
    end.sendmsg([b'x'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [0] * 50))], socket.MSG_DONTWAIT)
try:
    for a, b in ends:
        for _ in range(4): send(a)
except OSError as error: assert error.errno == errno.ETOOMANYREFS, error
print('full', flush=True)
time.sleep(600)";

const ONE_IN_FLIGHT: &str = "
import array, socket
a, b = socket.socketpair()
try: a.sendmsg([b'x'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [0]))]); print(True)
except OSError as error: print(error)";

#[test]
fn one_owner_cannot_use_up_the_descriptors_in_flight_of_another() {
    if !is_root() {
        return;
    }
    let (one, other) = (OwnScope::new(), OwnScope::new());
    for sandbox in SANDBOXES {
        let mut holder = start(&python(ALL_IN_FLIGHT).sandbox(sandbox), &one);
        read_until(&mut holder.output, "full");
        let one_more = python(ONE_IN_FLIGHT).sandbox(sandbox);
        let refused = run(&one_more, &one).output;
        assert!(refused.contains("Too many references"), "{refused}");
        assert_eq!(run(&one_more, &other).output, "True\n", "{sandbox}");
        end(holder);
    }
}

fn launcher_with(first: u32, last: u32) -> NativeLauncher {
    let uids = OwnerUids::new(first, last).expect("a range");
    let launcher = NativeLauncher::builder().owner_uids(uids);
    launcher.tier(tier()).build()
}

#[test]
fn more_owners_than_ids_are_refused_until_one_is_gone() {
    if !is_root() {
        return;
    }
    let is_shortage = |error: &LaunchError| {
        error.stage == Stage::Identity && error.shortage() == Some(Shortage::UserIds)
    };
    for (sandbox, first) in SANDBOXES.into_iter().zip([1_800_000_000, 1_800_000_002]) {
        let launcher = launcher_with(first, first + 1);
        let id = Spec::new("/bin/sleep").args(["600"]).sandbox(sandbox);
        let start = |scope| id.start_as(&launcher, Scope(scope));
        let (one, two) = (start(1).expect("one"), start(2).expect("two"));
        let users = [&one, &two].map(|child| user(child.process.pid()));
        assert_ne!(users[0], users[1]);
        assert!(users.iter().all(|user| [first, first + 1].contains(user)));
        let error = start(3).err().expect("there are two ids");
        assert!(is_shortage(&error), "{error}");
        let again = start(1).expect("that owner has an id");
        assert_eq!(user(again.process.pid()), users[0]);
        end(again);
        // The guest is gone, and its child runs: a detached one.
        launcher.close(Scope(1));
        assert!(start(3).is_err());
        end(one);
        let mut third = None;
        eventually("the id is free", || {
            third = start(3).ok();
            third.is_some()
        });
        end(third.expect("it started"));
        end(two);
        let close = |scopes: [u64; 2]| scopes.into_iter().for_each(|it| launcher.close(Scope(it)));
        close([2, 3]);
        // Sessions end on a thread of their own.
        eventually("both are free", || {
            let both = [4, 5].map(|scope| start(scope).ok());
            let started = both.iter().all(Option::is_some);
            both.into_iter().flatten().for_each(end);
            close([4, 5]);
            started
        });
    }
}

/// Processes with an argument of their own, which end with this value.
struct Left(String);

impl Drop for Left {
    fn drop(&mut self) {
        for pid in with_argument(&self.0) {
            let pid = rustix::process::Pid::from_raw(pid.cast_signed()).expect("a process");
            // One that has ended meanwhile is no failure.
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
    }
}

#[test]
fn an_id_is_not_given_out_while_a_process_that_left_its_tree_has_it() {
    if !is_root() {
        return;
    }
    let left = Left(format!("18{:08}", std::process::id()));
    let uids = OwnerUids::new(1_800_000_010, 1_800_000_010).expect("a range");
    // A cgroup of version 2 would be killed as a whole.
    let builder = NativeLauncher::builder().without_cgroups();
    let launcher = builder.owner_uids(uids).tier(tier()).build();
    let leaver = shell(&format!("setsid sleep {} >/dev/null 2>&1 & echo", left.0));
    let leaver = leaver.sandbox(Sandbox::None);
    let started = leaver.start_as(&launcher, Scope(1)).expect("it starts");
    // Before, it is still the program `setsid`.
    eventually("it has left", || {
        !with_arguments(&["sleep", &left.0]).is_empty()
    });
    assert_eq!(started.finish().exit, Exit::Code(0));
    launcher.close(Scope(1));
    let next = Spec::new("/bin/true").sandbox(Sandbox::None);
    let start = || next.start_as(&launcher, Scope(2));
    assert!(start().is_err(), "a process has the only id");
    drop(left);
    assert!(comes_true(|| start().map(Started::finish).is_ok()));
}

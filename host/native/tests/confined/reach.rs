//! The host and its other children: what a child can do to them, and read of them.

use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

use capspawn_native::Signal;
use capspawn_native::sandbox::{Sandbox, Tier};

use crate::bounded;
use crate::probe::OPEN;
use crate::support::{Spec, probe, tier};
use crate::table::Answer::Refused;
use crate::table::{Attack, Bare, holds, row};
use crate::verdict::{EACCES, EBADF, ENOENT, EPERM, ESRCH, admitted, refused};
use crate::world::{Canary, World};

/// On the host itself, which is root's where the children are nobody's.
#[rustfmt::skip]
const HOST: &[Attack] = &[
    row("signal", |w| w.probe("signal"), Refused(ESRCH), Refused(EPERM)).bare(Bare::Forbidden),
    row("signal by a pidfd", |w| w.probe("pidfd-signal"), Refused(ESRCH), Refused(EPERM)).bare(Bare::Forbidden),
    row("signal to a thread", |w| w.probe("thread-signal"), Refused(ESRCH), Refused(EPERM)).bare(Bare::Forbidden),
    row("prlimit", |w| w.probe("prlimit"), Refused(EPERM), Refused(EPERM)).bare(Bare::Forbidden),
    row("setpriority", |w| w.probe("setpriority"), Refused(EPERM), Refused(EPERM)).bare(Bare::Forbidden),
    row("affinity", |w| w.probe("affinity"), Refused(EPERM), Refused(EPERM)).bare(Bare::Forbidden),
    row("process_vm_readv", |w| w.probe("vm-read"), Refused(EPERM), Refused(EPERM)).bare(Bare::Forbidden),
    row("pidfd_getfd", |w| w.probe("pidfd-getfd"), Refused(EPERM), Refused(EPERM)).bare(Bare::Forbidden),
    row("ptrace", |w| w.probe("ptrace"), Refused(EPERM), Refused(EPERM)).bare(Bare::Forbidden),
    row("environment", |w| w.probe("environment"), Refused(ENOENT), Refused(EACCES)).bare(Bare::Forbidden),
    row("memory", |w| w.probe("memory"), Refused(ENOENT), Refused(EACCES)).bare(Bare::Forbidden),
    row("its root", |w| w.probe("host-file"), Refused(ENOENT), Refused(EACCES)).bare(Bare::Forbidden),
    row("its process", |w| w.at("list", format!("/proc/{}", std::process::id())), Refused(ENOENT), Refused(EACCES)),
];

/// On a process that nothing but the sandbox keeps out of reach.
#[rustfmt::skip]
const CANARY: &[Attack] = &[
    row("user's: signal", |w| w.at_canary("signal"), Refused(ESRCH), Refused(EPERM)),
    row("user's: signal by a pidfd", |w| w.at_canary("pidfd-signal"), Refused(ESRCH), Refused(EPERM)),
    row("user's: signal to a thread", |w| w.at_canary("thread-signal"), Refused(ESRCH), Refused(EPERM)),
    row("user's: prlimit", |w| w.at_canary("prlimit"), Refused(EPERM), Refused(EPERM)),
    row("user's: setpriority", |w| w.at_canary("setpriority"), Refused(EPERM), Refused(EPERM)),
    row("user's: affinity", |w| w.at_canary("affinity"), Refused(EPERM), Refused(EPERM)),
    row("user's: process_vm_readv", |w| w.at_canary("vm-read"), Refused(EPERM), Refused(EPERM)).bare(Bare::Traces),
    row("user's: pidfd_getfd", |w| w.at_canary("pidfd-getfd"), Refused(EPERM), Refused(EPERM)).bare(Bare::Traces),
    row("user's: ptrace", |w| w.at_canary("ptrace"), Refused(EPERM), Refused(EPERM)).bare(Bare::Traces),
    row("user's: environment", |w| w.at_canary("environment"), Refused(ENOENT), Refused(EACCES)).bare(Bare::Traces),
    row("user's: memory", |w| w.at_canary("memory"), Refused(ENOENT), Refused(EACCES)).bare(Bare::Traces),
    row("user's: its root", |w| w.at_canary("host-file"), Refused(ENOENT), Refused(EACCES)).bare(Bare::Traces),
    row("user's: its arguments", |w| w.at("read", format!("/proc/{}/cmdline", w.canary.0.id())), Refused(ENOENT), Refused(EACCES)),
];

/// Whom children have for an init: the session's pid 1, or the host's.
#[rustfmt::skip]
const INIT: &[Attack] = &[
    row("pid 1: signal", |w| init(w, "signal"), Refused(EPERM), Refused(EPERM)).bare(Bare::Forbidden),
    row("pid 1: signal by a pidfd", |w| init(w, "pidfd-signal"), Refused(EPERM), Refused(EPERM)).bare(Bare::Forbidden),
    row("pid 1: signal to a thread", |w| init(w, "thread-signal"), Refused(EPERM), Refused(EPERM)).bare(Bare::Forbidden),
    row("pid 1: ptrace", |w| init(w, "ptrace"), Refused(EPERM), Refused(EPERM)).bare(Bare::Forbidden),
    row("pid 1: process_vm_readv", |w| init(w, "vm-read"), Refused(EPERM), Refused(EPERM)).bare(Bare::Forbidden),
    row("pid 1: pidfd_getfd", |w| init(w, "pidfd-getfd"), Refused(EPERM), Refused(EPERM)).bare(Bare::Forbidden),
    row("pid 1: memory", |w| init(w, "memory"), Refused(EACCES), Refused(EACCES)).bare(Bare::Forbidden),
    row("pid 1: memory, to read", |w| init(w, "memory-read"), Refused(EACCES), Refused(EACCES)).bare(Bare::Forbidden),
    row("pid 1: environment", |w| init(w, "environment"), Refused(EACCES), Refused(EACCES)).bare(Bare::Forbidden),
    row("pid 1: its root", |w| init(w, "host-file"), Refused(EACCES), Refused(EACCES)).bare(Bare::Forbidden),
];

fn init(world: &World, name: &str) -> Spec {
    world.probe(name).env("HOST", 1)
}

#[test]
fn the_init_is_out_of_reach() {
    holds(INIT, &[]);
}

#[test]
fn the_host_process_is_out_of_reach() {
    holds(
        HOST,
        &[
            |w| w.probe("signal-self"),
            |w| w.probe("prlimit-self"),
            |w| w.probe("setpriority-self"),
        ],
    );
}

#[test]
fn a_process_of_the_childrens_user_is_out_of_reach() {
    holds(CANARY, &[]);
}
/// Where a grant lists /proc the domain still separates: its files about others are not opened.
#[test]
fn the_host_in_a_granted_proc_cannot_be_read_either() {
    let canary = Canary::new();
    for name in ["environment", "memory-read", "host-file"] {
        let mut spec = probe(name);
        spec.confinement.fs.read.push("/proc".into());
        refused(&spec, EACCES);
        refused(&spec.env("HOST", canary.0.id()), EACCES);
    }
    let mut spec = probe("environment").env("HOST", "self");
    spec.confinement.fs.read.push("/proc".into());
    spec = spec.env("TARGET", "/proc/self/environ");
    spec.env.insert("CAPSPAWN_PROBE".into(), "read".into());
    admitted(&spec);
}

/// The kernel would send it in the child's name, without kill(2).
#[test]
fn no_descriptor_makes_the_kernel_signal_the_host() {
    let mut canary = Canary::new();
    let spec = probe("signal-by-descriptor");
    let spec = spec.env("HOST", canary.0.id());
    match tier() {
        // The number is nobody's in the session.
        Tier::A => refused(&spec, ESRCH),
        Tier::B | Tier::C => admitted(&spec),
    }
    assert!(canary.answers(), "the signal arrived");
    admitted(&spec.sandbox(Sandbox::None));
    assert!(!canary.answers(), "the attack does nothing");
    let status = canary.0.wait().expect("it has ended");
    assert_eq!(status.signal(), Some(libc::SIGIO));
}

#[test]
fn children_of_one_grant_do_not_reach_each_other() {
    let spec = Spec::new("/bin/sleep").args(["60"]);
    let confined = spec.start().expect("it starts");
    let bare = spec.sandbox(Sandbox::None).start().expect("it starts");
    // By a shell, which has the sleeper's rules and so is in its session, where that has a number.
    let inner = inner_pid(confined.process.pid());
    let kill =
        |pid: u32| Spec::new("/bin/sh").args(["-c", &format!("kill -0 {pid} 2>&1 && echo done")]);
    let refusal = kill(inner).run().output;
    assert!(refusal.contains("ermitted"), "{refusal}");
    assert_eq!(kill(0).run().output, "done\n", "its own group");
    let signal = |pid: u32| probe("signal").env("HOST", pid);
    refused(&signal(bare.process.pid()), unseen());
    admitted(&signal(bare.process.pid()).sandbox(Sandbox::None));
    for started in [confined, bare] {
        started.process.signal(Signal::Kill).expect("it runs");
        started.finish();
    }
}

/// What a signal to a process that is not one's own ends with.
fn unseen() -> i32 {
    match tier() {
        Tier::A => ESRCH,
        Tier::B | Tier::C => EPERM,
    }
}

/// The number of a process in its own namespace.
pub(crate) fn inner_pid(pid: u32) -> u32 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find(|line| line.starts_with("NSpid:"));
    let last = line.and_then(|line| line.split_whitespace().next_back());
    last.expect("a number").parse().expect("a number")
}

#[test]
fn no_descriptor_of_the_host_is_inherited() {
    let leak = |path: &str| {
        let leaked = File::open(path).expect("it exists");
        let leaked = rustix::io::fcntl_dupfd_cloexec(&leaked, 50).expect("a descriptor");
        rustix::io::fcntl_setfd(&leaked, rustix::io::FdFlags::empty()).expect("it is open");
        leaked
    };
    let (file, folder) = (leak("/etc/passwd"), leak("/"));
    let spec = probe("descriptor");
    for leaked in [&file, &folder] {
        let spec = spec.clone().env("TARGET", leaked.as_raw_fd());
        refused(&spec, EBADF);
        // A child that is started in any other way has it.
        let mut command = Command::new(&spec.program);
        command
            .args(&spec.args)
            .envs(&spec.env)
            .stdout(Stdio::null());
        let status = bounded::status(&mut command, bounded::PATIENCE);
        assert_eq!(status.code(), Some(OPEN));
    }
    admitted(&spec.env("TARGET", 1));
    refused(&probe("any-descriptor"), EBADF);
}

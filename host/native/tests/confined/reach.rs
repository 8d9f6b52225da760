//! The host and its other children: what a child can do to them, and read of them.

#![allow(unsafe_code, reason = "makes a segment of shared memory")]

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::fd::AsRawFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, Stdio};

use capspawn_native::Signal;
use capspawn_native::sandbox::Sandbox;

use crate::probe::OPEN;
use crate::support::{Spec, is_root, probe};
use crate::verdict::{EACCES, EBADF, EPERM, admitted, refused, refused_by_the_sandbox};

/// A process of the children's user that answers each line: what the host is where it is not root.
struct Canary(std::process::Child);

impl Canary {
    fn new() -> Self {
        let mut command = Command::new("/bin/cat");
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        if is_root() {
            command.uid(65534).gid(65534);
        }
        let mut canary = Self(command.spawn().expect("it starts"));
        assert!(canary.answers(), "it runs");
        canary
    }

    /// Whether it lives: a signal that was sent before is met before the answer.
    fn answers(&mut self) -> bool {
        let stdin = self.0.stdin.as_mut().expect("it is piped");
        let stdout = self.0.stdout.as_mut().expect("it is piped");
        let mut line = String::new();
        stdin.write_all(b"line\n").is_ok()
            && BufReader::new(stdout).read_line(&mut line).is_ok()
            && line == "line\n"
    }

    fn target(&self, spec: Spec) -> Spec {
        spec.env("HOST", self.0.id())
    }
}

impl Drop for Canary {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Whether Yama lets a process trace another that is not its descendant.
fn may_trace() -> bool {
    let scope = fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope");
    scope.map_or(true, |scope| scope.trim() == "0")
}

#[test]
fn the_host_process_is_out_of_reach() {
    let always = [
        "signal",
        "pidfd-signal",
        "thread-signal",
        "prlimit",
        "setpriority",
        "affinity",
    ];
    let traces = ["vm-read", "pidfd-getfd", "ptrace"];
    for name in always.iter().chain(&traces) {
        refused(&probe(name), EPERM);
    }
    for name in always {
        refused_by_the_sandbox(&Canary::new().target(probe(name)), EPERM);
    }
    for name in traces {
        let canary = Canary::new();
        let spec = canary.target(probe(name));
        refused(&spec, EPERM);
        if may_trace() {
            admitted(&spec.sandbox(Sandbox::None));
        }
    }
    for name in ["signal-self", "prlimit-self", "setpriority-self"] {
        admitted(&probe(name));
    }
}

#[test]
fn the_host_in_proc_cannot_be_read() {
    let names = ["environment", "memory", "host-file"];
    let canary = Canary::new();
    for name in names {
        let spec = probe(name);
        refused(&spec, EACCES);
        let spec = canary.target(spec);
        refused(&spec, EACCES);
        if may_trace() {
            admitted(&spec.sandbox(Sandbox::None));
        }
    }
    let own = format!("/proc/{}", std::process::id());
    refused(&probe("list").env("TARGET", own), EACCES);
}

/// Where a grant lists /proc the domain still separates: its files about others are not opened.
#[test]
fn the_host_in_a_granted_proc_cannot_be_read_either() {
    let canary = Canary::new();
    for name in ["environment", "memory", "host-file"] {
        let mut spec = probe(name);
        spec.confinement.fs.read.push("/proc".into());
        refused(&spec, EACCES);
        refused(&canary.target(spec), EACCES);
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
    admitted(&canary.target(spec.clone()));
    assert!(canary.answers(), "the signal arrived");
    admitted(&canary.target(spec).sandbox(Sandbox::None));
    assert!(!canary.answers(), "the attack does nothing");
    let status = canary.0.wait().expect("it has ended");
    assert_eq!(status.signal(), Some(libc::SIGIO));
}

#[test]
fn children_of_one_grant_do_not_reach_each_other() {
    let spec = Spec::new("/bin/sleep").args(["60"]);
    let confined = spec.start().expect("it starts");
    let bare = spec.sandbox(Sandbox::None).start().expect("it starts");
    let signal = |pid: u32| probe("signal").env("HOST", pid);
    refused(&signal(confined.process.pid()), EPERM);
    refused_by_the_sandbox(&signal(bare.process.pid()), EPERM);
    for started in [confined, bare] {
        started.process.signal(Signal::Kill).expect("it runs");
        started.finish();
    }
}

#[test]
fn shared_memory_of_the_host_cannot_be_attached() {
    // SAFETY: takes no pointer; a new segment that everybody may read.
    let segment = unsafe { libc::shmget(libc::IPC_PRIVATE, 4096, libc::IPC_CREAT | 0o666) };
    assert!(segment >= 0, "the host may make one");
    let spec = probe("attach").env("TARGET", segment);
    let attempts = std::panic::catch_unwind(|| refused_by_the_sandbox(&spec, EPERM));
    // SAFETY: removing takes no buffer.
    unsafe { libc::shmctl(segment, libc::IPC_RMID, std::ptr::null_mut()) };
    attempts.expect("refused by the sandbox alone");
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
        let status = Command::new(&spec.program)
            .args(&spec.args)
            .envs(&spec.env)
            .stdout(Stdio::null())
            .status();
        assert_eq!(status.expect("it starts").code(), Some(OPEN));
    }
    admitted(&spec.env("TARGET", 1));
    refused(&probe("any-descriptor"), EBADF);
}

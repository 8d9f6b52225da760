//! Other processes: what a child can do to the host, to its other children and
//! to the init process, and what it can read of them.

#![allow(unsafe_code, reason = "tries the numbers of descriptors")]

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::fd::AsRawFd as _;
use std::process::{Command, Stdio};

use capspawn_native::Signal;
use capspawn_native::sandbox::{FsRoot, Sandbox, Tier};
use libc::{EACCES, EBADF, ENOENT, EPERM, EROFS, ESRCH};
use test_kit::{TEST_TIMEOUT, exit_status, scratch};

use crate::attempt::{Attempt, SUCCEEDED, Target, assert_fails, assert_succeeds};
use crate::fixture::{Canary, Fixture};
use crate::launcher::tier;
use crate::proc_mount;
use crate::scopes::has_scopes;
use crate::spec::{Spec, Started};
use crate::syscall::{Buffer, bits, call, owned, raw};
use crate::table::Expected::{Fails, FailsInProc, Succeeds};
use crate::table::{Row, Unconfined, assert_table, permitted, row, unaimed};

const NOT_RUN: Unconfined = Unconfined::NotRun;
const IF_TRACING: Unconfined = Unconfined::SucceedsIf(may_trace);

/// Attacks on the host process. Where the host is root, its children are another
/// user.
#[rustfmt::skip]
pub(crate) const HOST: &[Row] = &[
    row("host: signal", signal, unaimed, Fails(ESRCH), Fails(EPERM)).unconfined(NOT_RUN),
    row("host: signal by pidfd", signal_by_pidfd, unaimed, Fails(ESRCH), Fails(EPERM)).unconfined(NOT_RUN),
    row("host: signal to a thread", signal_thread, unaimed, Fails(ESRCH), Fails(EPERM)).unconfined(NOT_RUN),
    row("host: prlimit", prlimit, unaimed, Fails(ESRCH), Fails(EPERM)).unconfined(NOT_RUN),
    row("host: setpriority", set_priority, unaimed, Fails(ESRCH), Fails(EPERM)).unconfined(NOT_RUN),
    row("host: sched_setaffinity", set_affinity, unaimed, Fails(ESRCH), Fails(EPERM)).unconfined(NOT_RUN),
    row("host: process_vm_readv", copy_memory, unaimed, Fails(EPERM), Fails(EPERM)).unconfined(NOT_RUN),
    row("host: pidfd_getfd", copy_descriptor, unaimed, Fails(EPERM), Fails(EPERM)).unconfined(NOT_RUN),
    row("host: ptrace", trace, unaimed, Fails(ESRCH), Fails(EPERM)).unconfined(NOT_RUN),
    row("host: read its environment", read_environment, unaimed, Fails(ENOENT), FailsInProc).unconfined(NOT_RUN),
    row("host: open its memory", open_memory, unaimed, Fails(ENOENT), FailsInProc).unconfined(NOT_RUN),
    row("host: open a file by its root", open_through_root, unaimed, Fails(ENOENT), FailsInProc).unconfined(NOT_RUN),
    row("host: list its folder in /proc", list_folder, unaimed, Fails(ENOENT), FailsInProc)
        .unconfined(Unconfined::SucceedsOr(proc_mount::errors_of_another_user)),
    permitted("a signal to itself", |_| call_kill(own_pid()), unaimed),
    permitted("prlimit of itself", |_| call_prlimit(0), unaimed),
    permitted("setpriority of itself", |_| call_set_priority(0), unaimed),
];

/// The same attacks on a process of the children's user, from which nothing but
/// the sandbox keeps a child away.
#[rustfmt::skip]
pub(crate) const SAME_USER: &[Row] = &[
    row("same user: signal", signal, canary, Fails(ESRCH), Fails(EPERM)),
    row("same user: signal by pidfd", signal_by_pidfd, canary, Fails(ESRCH), Fails(EPERM)),
    row("same user: signal to a thread", signal_thread, canary, Fails(ESRCH), Fails(EPERM)),
    row("same user: prlimit", prlimit, canary, Fails(ESRCH), Fails(EPERM)),
    row("same user: setpriority", set_priority, canary, Fails(ESRCH), Fails(EPERM)),
    row("same user: sched_setaffinity", set_affinity, canary, Fails(ESRCH), Fails(EPERM)),
    row("same user: process_vm_readv", copy_memory, canary, Fails(EPERM), Fails(EPERM)).unconfined(IF_TRACING),
    row("same user: pidfd_getfd", copy_descriptor, canary, Fails(EPERM), Fails(EPERM)).unconfined(IF_TRACING),
    row("same user: ptrace", trace, canary, Fails(ESRCH), Fails(EPERM)).unconfined(IF_TRACING),
    row("same user: read its environment", read_environment, canary, Fails(ENOENT), FailsInProc).unconfined(IF_TRACING),
    row("same user: open its memory", open_memory, canary, Fails(ENOENT), FailsInProc).unconfined(IF_TRACING),
    row("same user: open a file by its root", open_through_root, canary, Fails(ENOENT), FailsInProc).unconfined(IF_TRACING),
    row("same user: open its arguments", open_arguments, canary, Fails(ENOENT), FailsInProc),
];

/// The process with the number 1 in the child's view: pid 1 of the session, or
/// the init process of the machine.
#[rustfmt::skip]
pub(crate) const PID_1: &[Row] = &[
    row("pid 1: signal", signal, pid_1, Fails(EPERM), Fails(EPERM)).without_scopes(Succeeds).unconfined(NOT_RUN),
    row("pid 1: signal by pidfd", signal_by_pidfd, pid_1, Fails(EPERM), Fails(EPERM)).without_scopes(Succeeds).unconfined(NOT_RUN),
    row("pid 1: signal to a thread", signal_thread, pid_1, Fails(EPERM), Fails(EPERM)).without_scopes(Succeeds).unconfined(NOT_RUN),
    row("pid 1: prlimit", prlimit, pid_1, Fails(EPERM), Fails(EPERM)).unconfined(NOT_RUN),
    row("pid 1: setpriority", set_priority, pid_1, Fails(EPERM), Fails(EPERM)).unconfined(NOT_RUN),
    row("pid 1: sched_setaffinity", set_affinity, pid_1, Fails(EPERM), Fails(EPERM)).unconfined(NOT_RUN),
    row("pid 1: ptrace", trace, pid_1, Fails(EPERM), Fails(EPERM)).unconfined(NOT_RUN),
    row("pid 1: process_vm_readv", copy_memory, pid_1, Fails(EPERM), Fails(EPERM)).unconfined(NOT_RUN),
    row("pid 1: pidfd_getfd", copy_descriptor, pid_1, Fails(EPERM), Fails(EPERM)).unconfined(NOT_RUN),
    row("pid 1: open its memory", open_memory, pid_1, Fails(EACCES), FailsInProc).unconfined(NOT_RUN),
    row("pid 1: open its memory to read", open_memory_to_read, pid_1, Fails(EACCES), FailsInProc).unconfined(NOT_RUN),
    row("pid 1: read its environment", read_environment, pid_1, Fails(EACCES), FailsInProc).unconfined(NOT_RUN),
    row("pid 1: open a file by its root", open_through_root, pid_1, Fails(EACCES), FailsInProc).unconfined(NOT_RUN),
];

/// A grant that lists `/proc` shows the host's processes in tier B. Landlock still refuses to open what belongs to
/// processes outside the sandbox. A session's `/proc` is its own all the same.
#[rustfmt::skip]
pub(crate) const GRANTED_PROC: &[Row] = &[
    row("granted /proc: the host's environment", read_environment, proc, Fails(ENOENT), FailsInProc).unconfined(NOT_RUN),
    row("granted /proc: the host's memory", open_memory_to_read, proc, Fails(ENOENT), FailsInProc).unconfined(NOT_RUN),
    row("granted /proc: the host's root", open_through_root, proc, Fails(ENOENT), FailsInProc).unconfined(NOT_RUN),
    row("granted /proc: a user's environment", read_environment, canary_in_proc, Fails(ENOENT), FailsInProc).unconfined(IF_TRACING),
    row("granted /proc: a user's memory", open_memory_to_read, canary_in_proc, Fails(ENOENT), FailsInProc).unconfined(IF_TRACING),
    row("granted /proc: a user's root", open_through_root, canary_in_proc, Fails(ENOENT), FailsInProc).unconfined(IF_TRACING),
    // Root's children cannot lower it without a sandbox either: root has set the least value too.
    row("granted /proc: its own protection from the OOM killer", lower_oom_score, proc, Fails(EROFS), Fails(EACCES))
        .unconfined(Unconfined::SucceedsOr(|| &[EACCES])),
    permitted("granted /proc: its own environment", |_| File::open("/proc/self/environ").map(drop), proc),
];

pub(crate) const SINGLE: &[Attempt] = &[
    SIGNAL,
    ENVIRONMENT,
    TRACE,
    SIGNAL_BY_DESCRIPTOR,
    DESCRIPTOR,
    DESCRIPTORS,
];

pub(crate) const SIGNAL: Attempt = Attempt::new("signal", signal);
pub(crate) const ENVIRONMENT: Attempt = Attempt::new("read an environment", read_environment);
pub(crate) const TRACE: Attempt = Attempt::new("trace", trace);
const SIGNAL_BY_DESCRIPTOR: Attempt = Attempt::new("signal by a pipe", signal_by_descriptor);
const DESCRIPTOR: Attempt = Attempt::new("use an inherited descriptor", use_descriptor);
const DESCRIPTORS: Attempt = Attempt::new("find inherited descriptors", find_descriptors);

fn lower_oom_score(_: &Target) -> io::Result<()> {
    fs::write("/proc/self/oom_score_adj", "0")
}

fn canary(fixture: &Fixture, child: Spec) -> Spec {
    child.at_process(fixture.canary.pid())
}

fn pid_1(_: &Fixture, child: Spec) -> Spec {
    child.at_process(1)
}

fn proc(_: &Fixture, child: Spec) -> Spec {
    child.read("/proc")
}

fn canary_in_proc(fixture: &Fixture, child: Spec) -> Spec {
    proc(fixture, canary(fixture, child))
}

/// Whether the machine lets a process trace another one of its user: the
/// security module Yama may forbid it.
pub(crate) fn may_trace() -> bool {
    let scope = fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope");
    scope.map_or(true, |scope| scope.trim() == "0")
}

pub(crate) fn own_pid() -> usize {
    std::process::id() as usize
}

/// Signal 0, which only checks the permission.
fn call_kill(pid: usize) -> io::Result<()> {
    call(libc::SYS_kill, [pid, 0, 0, 0, 0, 0]).map(drop)
}

fn signal(target: &Target) -> io::Result<()> {
    call_kill(target.pid)
}

fn signal_by_pidfd(target: &Target) -> io::Result<()> {
    let pidfd = owned(call(libc::SYS_pidfd_open, [target.pid, 0, 0, 0, 0, 0])?);
    call(libc::SYS_pidfd_send_signal, [raw(&pidfd), 0, 0, 0, 0, 0]).map(drop)
}

fn signal_thread(target: &Target) -> io::Result<()> {
    call(libc::SYS_tgkill, [target.pid, target.pid, 0, 0, 0, 0]).map(drop)
}

pub(crate) fn call_prlimit(pid: usize) -> io::Result<()> {
    let mut old = Buffer::new();
    let resource = libc::RLIMIT_NOFILE as usize;
    call(libc::SYS_prlimit64, [pid, resource, 0, old.address(), 0, 0]).map(drop)
}

fn prlimit(target: &Target) -> io::Result<()> {
    call_prlimit(target.pid)
}

pub(crate) fn call_set_priority(pid: usize) -> io::Result<()> {
    let process = libc::PRIO_PROCESS as usize;
    call(libc::SYS_setpriority, [process, pid, 10, 0, 0, 0]).map(drop)
}

fn set_priority(target: &Target) -> io::Result<()> {
    call_set_priority(target.pid)
}

fn set_affinity(target: &Target) -> io::Result<()> {
    call_set_affinity(target.pid)
}

pub(crate) fn call_set_affinity(pid: usize) -> io::Result<()> {
    let all = [u64::MAX; 16];
    let (mask, bytes) = (all.as_ptr().addr(), size_of_val(&all));
    call(libc::SYS_sched_setaffinity, [pid, bytes, mask, 0, 0, 0]).map(drop)
}

/// Copies no byte: the permission is checked before.
fn copy_memory(target: &Target) -> io::Result<()> {
    let (mut local, mut remote) = (Buffer::new(), Buffer::new());
    let (local, remote) = (local.address(), remote.address());
    call(
        libc::SYS_process_vm_readv,
        [target.pid, local, 1, remote, 1, 0],
    )
    .map(drop)
}

/// Where the process cannot be opened, the call itself still has to be refused.
fn copy_descriptor(target: &Target) -> io::Result<()> {
    let pidfd = call(libc::SYS_pidfd_open, [target.pid, 0, 0, 0, 0, 0]).unwrap_or(0);
    call(libc::SYS_pidfd_getfd, [pidfd, 0, 0, 0, 0, 0]).map(drop)
}

fn trace(target: &Target) -> io::Result<()> {
    let request = libc::PTRACE_ATTACH as usize;
    call(libc::SYS_ptrace, [request, target.pid, 0, 0, 0, 0]).map(drop)
}

/// Any process may open the file; the kernel checks the permission at a read.
fn read_environment(target: &Target) -> io::Result<()> {
    let mut file = File::open(format!("/proc/{}/environ", target.pid))?;
    file.read_exact(&mut [0])
}

fn open_memory(target: &Target) -> io::Result<()> {
    let mut options = File::options();
    options.read(true).write(true);
    options.open(format!("/proc/{}/mem", target.pid)).map(drop)
}

fn open_memory_to_read(target: &Target) -> io::Result<()> {
    File::open(format!("/proc/{}/mem", target.pid)).map(drop)
}

fn open_through_root(target: &Target) -> io::Result<()> {
    File::open(format!("/proc/{}/root/etc/passwd", target.pid)).map(drop)
}

fn open_arguments(target: &Target) -> io::Result<()> {
    File::open(format!("/proc/{}/cmdline", target.pid)).map(drop)
}

fn list_folder(target: &Target) -> io::Result<()> {
    fs::read_dir(format!("/proc/{}", target.pid)).map(drop)
}

/// Makes the kernel send `SIGIO` to the process, as the owner of a pipe that
/// becomes readable. None of the calls fails for that; whether the signal arrives
/// is for the test to see.
fn signal_by_descriptor(target: &Target) -> io::Result<()> {
    let (read, write) = rustix::pipe::pipe()?;
    let control = |command: i32, value: usize| {
        call(libc::SYS_fcntl, [raw(&read), bits(command), value, 0, 0, 0])
    };
    control(libc::F_SETOWN, target.pid)?;
    control(libc::F_SETFL, bits(libc::O_ASYNC))?;
    rustix::io::write(&write, b"x")?;
    Ok(())
}

fn use_descriptor(target: &Target) -> io::Result<()> {
    let command = bits(libc::F_GETFD);
    call(libc::SYS_fcntl, [target.number(), command, 0, 0, 0, 0]).map(drop)
}

fn find_descriptors(_: &Target) -> io::Result<()> {
    let is_open = |fd: &i32| {
        // SAFETY: takes no pointer.
        let flags = unsafe { libc::fcntl(*fd, libc::F_GETFD) };
        flags >= 0
    };
    let found: Vec<_> = (3..4096).filter(is_open).collect();
    println!("{found:?}");
    match found.as_slice() {
        [] => Err(io::Error::from_raw_os_error(EBADF)),
        _ => Ok(()),
    }
}

#[test]
fn a_child_cannot_reach_the_host_process() {
    assert_table(HOST);
}

#[test]
fn a_child_cannot_reach_another_process_of_its_user() {
    assert_table(SAME_USER);
}

#[test]
fn a_child_cannot_reach_the_init_process() {
    assert_table(PID_1);
}

#[test]
fn a_grant_of_proc_does_not_open_the_files_of_other_processes() {
    assert_table(GRANTED_PROC);
}

/// The kernel sends such a signal in the child's name, without `kill(2)`.
#[test]
fn a_child_cannot_signal_the_host_by_a_descriptor() {
    let mut canary = Canary::new();
    // With a write root the child has the canary's user also without a session.
    let folder = scratch();
    let child = SIGNAL_BY_DESCRIPTOR.spec().home(folder.path());
    let child = child.at_process(canary.pid());
    match tier() {
        // In the session no process has the number.
        Tier::A => assert_fails(&child, ESRCH),
        Tier::B | Tier::C => assert_succeeds(&child),
    }
    assert!(canary.echoes(), "the signal arrived");
    assert_succeeds(&child.sandbox(Sandbox::None));
    assert!(
        !canary.echoes(),
        "the attack shows nothing: it sends no signal"
    );
    assert_eq!(canary.ending_signal(), Some(libc::SIGIO));
}

#[test]
fn children_of_one_grant_cannot_reach_each_other() {
    let sleeper = Spec::new("/bin/sleep").args(["600"]);
    let confined = sleeper.start().expect("it starts");
    let unconfined = sleeper.sandbox(Sandbox::None).start().expect("it starts");
    // The shell has the sleeper's rules and so is in its session, where the sleeper has another number.
    let inner = inner_pid(confined.process.pid());
    let kill = |pid: u32| {
        let script = format!("kill -0 {pid} 2>&1 && echo done");
        Spec::new("/bin/sh").args(["-c", &script]).run().output
    };
    let answer = kill(inner);
    if tier() == Tier::B || has_scopes() {
        assert!(answer.contains("ermitted"), "{answer}");
    } else {
        assert_eq!(answer, "done\n", "the threat model names this gap");
    }
    assert_eq!(
        kill(0),
        "done\n",
        "a child may signal its own process group"
    );
    let signal = SIGNAL.spec().at_process(unconfined.process.pid());
    let errno = match tier() {
        Tier::A => ESRCH,
        Tier::B | Tier::C => EPERM,
    };
    assert_fails(&signal, errno);
    assert_succeeds(&signal.sandbox(Sandbox::None));
    for started in [confined, unconfined] {
        started.process.signal(Signal::Kill).expect("it runs");
        started.finish();
    }
}

/// A sleeper with the rules of `attempt`, and so in its session, and the number by which it can name it.
pub(crate) fn sleeper_with_rules_of(attempt: &Spec) -> (Started, u32) {
    let program = FsRoot::resolve(&attempt.program).expect("it exists");
    let mut sleeper = Spec::new("/bin/sleep").args(["600"]);
    sleeper.confinement.fs.read.push(program);
    let sleeper = sleeper.start().expect("it starts");
    let pid = inner_pid(sleeper.process.pid());
    (sleeper, pid)
}

/// The number that a process has in its own pid namespace.
pub(crate) fn inner_pid(pid: u32) -> u32 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find(|line| line.starts_with("NSpid:"));
    let last = line.and_then(|line| line.split_whitespace().next_back());
    last.and_then(|pid| pid.parse().ok())
        .expect("a process has a number")
}

#[test]
fn a_child_inherits_no_descriptor_of_the_host() {
    let leak = |path: &str| {
        let file = File::open(path).expect("every machine has it");
        let leaked = rustix::io::fcntl_dupfd_cloexec(&file, 50).expect("a descriptor is free");
        rustix::io::fcntl_setfd(&leaked, rustix::io::FdFlags::empty()).expect("it is open");
        leaked
    };
    let (file, folder) = (leak("/etc/passwd"), leak("/"));
    for leaked in [&file, &folder] {
        let child = DESCRIPTOR.spec().at(leaked.as_raw_fd());
        assert_fails(&child, EBADF);
        // A child that is started in any other way inherits it.
        let mut command = Command::new(&child.program);
        command
            .args(&child.args)
            .envs(&child.env)
            .stdout(Stdio::null());
        let status = exit_status(&mut command, TEST_TIMEOUT);
        assert_eq!(status.code(), Some(SUCCEEDED));
    }
    assert_succeeds(&DESCRIPTOR.spec().at(1));
    assert_fails(&DESCRIPTORS.spec(), EBADF);
}

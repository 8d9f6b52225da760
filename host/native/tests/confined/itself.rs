//! Calls on a process by its number: the child itself, its threads and its children, and others.

#![allow(unsafe_code, reason = "forks, and reads the number of a thread")]

use std::io;
use std::sync::mpsc;
use std::thread;

use capspawn_native::Signal;
use capspawn_native::sandbox::Tier;
use libc::EPERM;

use crate::attempt::{Attempt, Target, assert_fails, assert_succeeds};
use crate::launcher::tier;
use crate::processes::{
    call_prlimit, call_set_affinity, call_set_priority, own_pid, sleeper_with_rules_of,
};
use crate::syscall::{bits, call};
use crate::table::Expected::{Fails, Succeeds};
use crate::table::{Row, Unconfined, assert_table, row, unaimed};

const NOT_RUN: Unconfined = Unconfined::NotRun;

/// Calls on the child itself by its number, as many programs make them. Outside a session the number might be that of any
/// process of the user.
#[rustfmt::skip]
pub(crate) const ITSELF: &[Row] = &[
    row("own number: prlimit", |_| call_prlimit(own_pid()), unaimed, Succeeds, Fails(EPERM)),
    row("own number: setpriority", |_| call_set_priority(own_pid()), unaimed, Succeeds, Fails(EPERM)),
    row("own number: sched_setaffinity", |_| call_set_affinity(own_pid()), unaimed, Succeeds, Fails(EPERM)),
    row("own number: sched_setscheduler", |_| call_set_scheduler(own_pid()), unaimed, Succeeds, Fails(EPERM)),
    row("own number: ioprio_set", |_| call_ioprio_set(own_pid()), unaimed, Succeeds, Fails(EPERM)),
    row("a thread's number: sched_setaffinity", set_affinity_of_a_thread, unaimed, Succeeds, Fails(EPERM)),
    row("a child's number: prlimit", limit_a_fork, unaimed, Succeeds, Fails(EPERM)),
    row("the user's number: setpriority", set_priority_of_user, unaimed, Fails(EPERM), Fails(EPERM)).unconfined(NOT_RUN),
];

pub(crate) const SINGLE: &[Attempt] = &[RAISE_LIMIT, LOWER_LIMIT];

const RAISE_LIMIT: Attempt = Attempt::new("raise a limit of a process", raise_limit);
const LOWER_LIMIT: Attempt = Attempt::new("lower a limit of a process", lower_limit);

fn call_set_scheduler(pid: usize) -> io::Result<()> {
    // A `struct sched_param`: the priority, which SCHED_BATCH ignores.
    let priority = 0i32;
    let (policy, parameters) = (bits(libc::SCHED_BATCH), (&raw const priority).addr());
    let args = [pid, policy, parameters, 0, 0, 0];
    call(libc::SYS_sched_setscheduler, args).map(drop)
}

/// The class "best effort", with the least priority.
fn call_ioprio_set(pid: usize) -> io::Result<()> {
    const PROCESS: usize = 1;
    const BEST_EFFORT: usize = 2 << 13 | 7;
    call(libc::SYS_ioprio_set, [PROCESS, pid, BEST_EFFORT, 0, 0, 0]).map(drop)
}

/// As `pthread_setaffinity_np` does, and a debugger's or a runtime's first thread.
fn set_affinity_of_a_thread(_: &Target) -> io::Result<()> {
    let (send, receive) = mpsc::channel();
    let (end, ended) = mpsc::channel::<()>();
    let thread = thread::spawn(move || {
        // SAFETY: takes no argument.
        let tid = unsafe { libc::gettid() };
        send.send(bits(tid)).expect("the test waits for it");
        let _ = ended.recv();
    });
    let result = call_set_affinity(receive.recv().expect("the thread sends it"));
    drop(end);
    thread.join().expect("it does not panic");
    result
}

fn limit_a_fork(_: &Target) -> io::Result<()> {
    // SAFETY: the child makes one system call, until it is killed.
    let child = unsafe { libc::fork() };
    if child == 0 {
        // SAFETY: takes no argument.
        unsafe { libc::pause() };
    }
    let result = set_limit(bits(child), |[soft, hard]| [soft / 2, hard]);
    // SAFETY: takes no pointer; the child is not reaped yet.
    unsafe { libc::kill(child, libc::SIGKILL) };
    // SAFETY: no status is written.
    unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) };
    result
}

fn set_priority_of_user(_: &Target) -> io::Result<()> {
    let user = libc::PRIO_USER as usize;
    call(libc::SYS_setpriority, [user, 0, 10, 0, 0, 0]).map(drop)
}

/// Changes the soft and the hard limit on descriptors of a process.
fn set_limit(pid: usize, change: impl Fn([u64; 2]) -> [u64; 2]) -> io::Result<()> {
    let resource = libc::RLIMIT_NOFILE as usize;
    let mut own = [0u64; 2];
    let limits = (&raw mut own).addr();
    call(libc::SYS_prlimit64, [0, resource, 0, limits, 0, 0])?;
    let own = change(own);
    let limits = (&raw const own).addr();
    call(libc::SYS_prlimit64, [pid, resource, limits, 0, 0, 0]).map(drop)
}

fn raise_limit(target: &Target) -> io::Result<()> {
    set_limit(target.pid, |[soft, hard]| [soft, hard + 1])
}

fn lower_limit(target: &Target) -> io::Result<()> {
    set_limit(target.pid, |[soft, hard]| [soft / 2, hard])
}

#[test]
fn in_a_session_a_child_may_name_itself_by_its_number() {
    assert_table(ITSELF);
}

/// In a session the kernel compares the users of the two, which are equal; it lets nobody raise a hard limit.
#[test]
fn children_of_one_session_may_lower_each_others_limits_and_cannot_raise_them() {
    let raise = RAISE_LIMIT.spec();
    let (sleeper, pid) = sleeper_with_rules_of(&raise);
    let lower = LOWER_LIMIT.spec().at_process(pid);
    match tier() {
        Tier::A => assert_succeeds(&lower),
        Tier::B | Tier::C => assert_fails(&lower, EPERM),
    }
    assert_fails(&raise.at_process(pid), EPERM);
    sleeper.process.signal(Signal::Kill).expect("it runs");
    sleeper.finish();
}

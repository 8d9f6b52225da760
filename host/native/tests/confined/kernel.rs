//! Interfaces of the kernel that no ordinary program needs.

#![allow(unsafe_code, reason = "calls the kernel by the 32-bit entry")]

use std::fs;
use std::io;

use capspawn_native::launch::Exit;
use capspawn_native::sandbox::{Sandbox, Tier};
use libc::{EAGAIN, EMFILE, ENOSPC, ENOSYS, EOPNOTSUPP, EPERM};

use test_kit::eventually;

use crate::attempt::{Attempt, Outcome, Target};
use crate::fixture::Fixture;
use crate::forked::in_a_fork;
use crate::launcher::tier;
use crate::spec::Spec;
use crate::syscall::{Buffer, CWD, bits, c_string, call, owned};
use crate::table::Expected::{self, Fails};
use crate::table::{Row, Unconfined, assert_table, permitted, row, unaimed};

/// The filter refuses the call.
const FILTERED: Expected = Fails(EPERM);
/// The filter answers as a kernel without the call does.
const ABSENT: Expected = Fails(ENOSYS);

const NOT_RUN: Unconfined = Unconfined::NotRun;

#[rustfmt::skip]
pub(crate) const CALLS: &[Row] = &[
    row("add_key", add_key, unaimed, FILTERED, FILTERED),
    row("personality", set_personality, unaimed, FILTERED, FILTERED),
    permitted("personality without randomization", keep_addresses, unaimed),
    row("io_setup", make_aio, unaimed, ABSENT, ABSENT).unconfined(Unconfined::SucceedsOr(|| &[ENOSYS])),
    row("a Landlock ruleset", make_ruleset, unaimed, ABSENT, ABSENT)
        .unconfined(Unconfined::SucceedsOr(|| &[ENOSYS, EOPNOTSUPP])),
    // Half of what the kernel allows a user by default, so that one session does not use up the user's.
    row("65 instances of inotify", make_many_inotify, more_files, Fails(EMFILE), ABSENT)
        .unconfined(Unconfined::SucceedsOr(|| &[EMFILE])),
    row("fanotify_init", make_fanotify, unaimed, FILTERED, FILTERED)
        .unconfined(Unconfined::SucceedsOr(|| &[ENOSYS, EPERM])),
    row("userfaultfd", make_userfaultfd, unaimed, FILTERED, FILTERED)
        .unconfined(Unconfined::SucceedsOr(|| &[ENOSYS, EPERM])),
    row("io_uring_setup", make_io_uring, unaimed, FILTERED, FILTERED)
        .unconfined(Unconfined::SucceedsOr(errors_of_io_uring)),
    row("unshare of the user namespace", unshare_user, unaimed, FILTERED, FILTERED)
        .unconfined(Unconfined::SucceedsOr(|| &[EPERM, ENOSPC])),
    row("change the mark of the tree", change_mark, unaimed, FILTERED, FILTERED),
    row("mount", mount, inside, FILTERED, FILTERED).unconfined(NOT_RUN),
    row("umount", umount, |_, child| child.at("/tmp"), FILTERED, FILTERED).unconfined(NOT_RUN),
    row("pivot_root", pivot_root, inside, FILTERED, FILTERED).unconfined(NOT_RUN),
    row("chroot", chroot, inside, FILTERED, FILTERED).unconfined(NOT_RUN),
    row("open_tree", open_tree, inside, FILTERED, FILTERED).unconfined(NOT_RUN),
    row("clone of each namespace", clone_namespaces, unaimed, FILTERED, FILTERED).unconfined(NOT_RUN),
    row("unshare of each namespace", unshare_namespaces, unaimed, FILTERED, FILTERED).unconfined(NOT_RUN),
    row("clone3", clone3, unaimed, ABSENT, ABSENT).unconfined(NOT_RUN),
    row("openat2", openat2, unaimed, ABSENT, ABSENT).unconfined(NOT_RUN),
    // The filter refuses every number above the known ones, and all x32 numbers are above.
    row("getpid of x32", getpid_x32, unaimed, ABSENT, ABSENT).unconfined(NOT_RUN),
    row("socket of x32", socket_x32, unaimed, ABSENT, ABSENT).unconfined(NOT_RUN),
    row("a call of a future kernel", future_call, unaimed, ABSENT, ABSENT).unconfined(NOT_RUN),
    // Beyond the limit and all that the user's other programs are left with.
    row("a fork storm", fork_storm, few_tasks, Fails(EAGAIN), Fails(EAGAIN)).unconfined(NOT_RUN),
    permitted("no call at all", |_| Ok(()), unaimed),
];

pub(crate) const SINGLE: &[Attempt] = &[GETPID_32_BIT, FORK_WITHIN_LIMIT];

const FORK_WITHIN_LIMIT: Attempt = Attempt::new("fork within the limit", fork_within_limit);

const GETPID_32_BIT: Attempt = Attempt::new("getpid of the 32-bit ABI", getpid_32_bit);

fn inside(fixture: &Fixture, child: Spec) -> Spec {
    child.at(fixture.inside.path().display())
}

/// So that the limit on descriptors does not end it first.
fn more_files(_: &Fixture, mut child: Spec) -> Spec {
    child.limits.open_files = Some(1024);
    child
}

/// The limit on tasks of [`few_tasks`].
const TASKS: u64 = 64;

fn few_tasks(_: &Fixture, mut child: Spec) -> Spec {
    child.limits.processes = Some(TASKS);
    child
}

/// The kernel is built without the call, or the sysctl disables it.
fn errors_of_io_uring() -> &'static [i32] {
    let disabled = fs::read_to_string("/proc/sys/kernel/io_uring_disabled");
    match disabled {
        Ok(text) if text.trim() != "0" => &[EPERM],
        _ => &[ENOSYS],
    }
}

fn add_key(_: &Target) -> io::Result<()> {
    let text = c"user".as_ptr().addr();
    let ring = bits(libc::KEY_SPEC_SESSION_KEYRING);
    call(libc::SYS_add_key, [text, text, text, 4, ring, 0]).map(drop)
}

fn set_personality(_: &Target) -> io::Result<()> {
    let persona = bits(libc::READ_IMPLIES_EXEC);
    call(libc::SYS_personality, [persona, 0, 0, 0, 0, 0]).map(drop)
}

fn keep_addresses(_: &Target) -> io::Result<()> {
    let persona = bits(libc::ADDR_NO_RANDOMIZE);
    call(libc::SYS_personality, [persona, 0, 0, 0, 0, 0]).map(drop)
}

fn make_aio(_: &Target) -> io::Result<()> {
    let mut context = Buffer::new();
    call(libc::SYS_io_setup, [1, context.address(), 0, 0, 0, 0]).map(drop)
}

/// Handles the right to execute, in a `struct landlock_ruleset_attr` of the first version.
fn make_ruleset(_: &Target) -> io::Result<()> {
    let handled = 1u64;
    let attributes = (&raw const handled).addr();
    call(
        libc::SYS_landlock_create_ruleset,
        [attributes, 8, 0, 0, 0, 0],
    )
    .map(drop)
}

/// Twice what the launcher leaves to the user's other programs, as tests run at the same time.
fn fork_storm(_: &Target) -> io::Result<()> {
    fork_sleepers(TASKS + 2 * 1024)
}

/// The process itself has two threads.
fn fork_within_limit(_: &Target) -> io::Result<()> {
    fork_sleepers(TASKS - 2)
}

/// Forks processes that live until the test kills the tree.
fn fork_sleepers(count: u64) -> io::Result<()> {
    for _ in 0..count {
        // SAFETY: the child makes one system call.
        match unsafe { libc::fork() } {
            0 => loop {
                // SAFETY: takes no argument.
                unsafe { libc::pause() };
            },
            1.. => {}
            _ => return Err(io::Error::last_os_error()),
        }
    }
    Ok(())
}

fn make_many_inotify(_: &Target) -> io::Result<()> {
    let make = || call(libc::SYS_inotify_init1, [0; 6]).map(owned);
    (0..65)
        .map(|_| make())
        .collect::<io::Result<Vec<_>>>()
        .map(drop)
}

/// A group that reports file handles, which needs no privilege.
fn make_fanotify(_: &Target) -> io::Result<()> {
    const FAN_REPORT_FID: usize = 0x200;
    call(libc::SYS_fanotify_init, [FAN_REPORT_FID, 0, 0, 0, 0, 0]).map(drop)
}

fn make_userfaultfd(_: &Target) -> io::Result<()> {
    const UFFD_USER_MODE_ONLY: usize = 1;
    call(libc::SYS_userfaultfd, [UFFD_USER_MODE_ONLY, 0, 0, 0, 0, 0]).map(drop)
}

fn make_io_uring(_: &Target) -> io::Result<()> {
    let mut parameters = Buffer::new();
    call(
        libc::SYS_io_uring_setup,
        [1, parameters.address(), 0, 0, 0, 0],
    )
    .map(drop)
}

fn unshare_user(_: &Target) -> io::Result<()> {
    in_a_fork(|| {
        call(
            libc::SYS_unshare,
            [bits(libc::CLONE_NEWUSER), 0, 0, 0, 0, 0],
        )
    })
}

/// The limit on file locks, by which the members of a tree are found in `/proc`.
fn change_mark(_: &Target) -> io::Result<()> {
    const RLIMIT_LOCKS: usize = 10;
    let none = [0u64; 2];
    let by_prlimit = [0, RLIMIT_LOCKS, none.as_ptr().addr(), 0, 0, 0];
    let by_setrlimit = [RLIMIT_LOCKS, none.as_ptr().addr(), 0, 0, 0, 0];
    in_a_fork(|| {
        call(libc::SYS_prlimit64, by_prlimit).or_else(|_| call(libc::SYS_setrlimit, by_setrlimit))
    })
}

fn mount(target: &Target) -> io::Result<()> {
    let folder = c_string(&target.text);
    let kind = c"tmpfs".as_ptr().addr();
    call(
        libc::SYS_mount,
        [kind, folder.as_ptr().addr(), kind, 0, 0, 0],
    )
    .map(drop)
}

fn umount(target: &Target) -> io::Result<()> {
    let folder = c_string(&target.text);
    let flags = bits(libc::MNT_DETACH);
    call(
        libc::SYS_umount2,
        [folder.as_ptr().addr(), flags, 0, 0, 0, 0],
    )
    .map(drop)
}

fn pivot_root(target: &Target) -> io::Result<()> {
    let folder = c_string(&target.text);
    let folder = folder.as_ptr().addr();
    call(libc::SYS_pivot_root, [folder, folder, 0, 0, 0, 0]).map(drop)
}

fn chroot(target: &Target) -> io::Result<()> {
    let folder = c_string(&target.text);
    call(libc::SYS_chroot, [folder.as_ptr().addr(), 0, 0, 0, 0, 0]).map(drop)
}

fn open_tree(target: &Target) -> io::Result<()> {
    const OPEN_TREE_CLONE: usize = 1;
    let folder = c_string(&target.text);
    let folder = folder.as_ptr().addr();
    call(libc::SYS_open_tree, [CWD, folder, OPEN_TREE_CLONE, 0, 0, 0]).map(drop)
}

fn clone_namespaces(_: &Target) -> io::Result<()> {
    let signal = bits(libc::SIGCHLD);
    any_namespace(|flag| call(libc::SYS_clone, [flag | signal, 0, 0, 0, 0, 0]))
}

fn unshare_namespaces(_: &Target) -> io::Result<()> {
    any_namespace(|flag| call(libc::SYS_unshare, [flag, 0, 0, 0, 0, 0]))
}

/// Tries each namespace; succeeds if one can be made.
fn any_namespace(make: impl Fn(usize) -> io::Result<usize>) -> io::Result<()> {
    let flags = [
        libc::CLONE_NEWUSER,
        libc::CLONE_NEWNS,
        libc::CLONE_NEWPID,
        libc::CLONE_NEWNET,
        libc::CLONE_NEWIPC,
        libc::CLONE_NEWUTS,
        libc::CLONE_NEWCGROUP,
    ];
    let mut last = Ok(());
    for flag in flags {
        last = make(bits(flag)).map(drop);
        if last.is_ok() {
            break;
        }
    }
    last
}

fn clone3(_: &Target) -> io::Result<()> {
    call(libc::SYS_clone3, [0; 6]).map(drop)
}

fn openat2(_: &Target) -> io::Result<()> {
    const SIZE: usize = 24;
    let mut how = Buffer::new();
    let path = c"/".as_ptr().addr();
    call(libc::SYS_openat2, [CWD, path, how.address(), SIZE, 0, 0]).map(drop)
}

/// The bit that marks the calls of the x32 ABI.
const X32: libc::c_long = 0x4000_0000;

fn getpid_x32(_: &Target) -> io::Result<()> {
    call(X32 + libc::SYS_getpid, [0; 6]).map(drop)
}

fn socket_x32(_: &Target) -> io::Result<()> {
    let (family, kind) = (bits(libc::AF_UNIX), bits(libc::SOCK_STREAM));
    call(X32 + libc::SYS_socket, [family, kind, 0, 0, 0, 0]).map(drop)
}

fn future_call(_: &Target) -> io::Result<()> {
    call(900, [0; 6]).map(drop)
}

fn getpid_32_bit(_: &Target) -> io::Result<()> {
    const GETPID: i32 = 20;
    let result: i32;
    // SAFETY: getpid by the 32-bit entry changes these registers and no memory.
    unsafe {
        std::arch::asm!(
            "int 0x80", inlateout("eax") GETPID => result,
            out("r8") _, out("r9") _, out("r10") _, out("r11") _,
        );
    }
    match result {
        pid if pid > 0 => Ok(()),
        error => Err(io::Error::from_raw_os_error(-error)),
    }
}

#[test]
fn kernel_interfaces_that_programs_do_not_need_are_closed() {
    assert_table(CALLS);
}

/// Outside a session the kernel counts the tasks of the user: while the fork storm of another test stands, a child of the
/// same user may not fork.
#[test]
fn a_child_has_nearly_as_many_tasks_as_its_limit() {
    let mut child = FORK_WITHIN_LIMIT.spec();
    child.limits.processes = Some(TASKS);
    // The children of a session share its limit.
    let count = match tier() {
        Tier::A => 1,
        Tier::B | Tier::C => 4,
    };
    eventually("the tasks of all children", || {
        let started: Vec<_> = (0..count)
            .map(|_| child.start().expect("it starts"))
            .collect();
        // Each to its end, which kills its tree.
        let outcomes: Vec<_> = started
            .into_iter()
            .map(|child| child.finish().outcome())
            .collect();
        outcomes
            .iter()
            .all(|outcome| *outcome == Some(Outcome::Succeeds))
    });
}

#[test]
fn a_call_of_the_32_bit_abi_ends_the_process() {
    const SIGSYS: u8 = 31;
    const SIGSEGV: u8 = 11;
    let child = GETPID_32_BIT.spec();
    let run = child.run();
    assert_eq!(run.exit, Exit::Signal(SIGSYS), "{}", run.output);
    let run = child.sandbox(Sandbox::None).run();
    if run.exit == Exit::Signal(SIGSEGV) {
        println!("not shown, this kernel has no 32-bit entry");
    } else {
        assert_eq!(run.outcome(), Some(Outcome::Succeeds), "{}", run.output);
    }
}

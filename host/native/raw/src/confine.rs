//! The steps with which a process gives up rights.
//!
//! The kernel dictates the order: Landlock and seccomp need `no_new_privs`, and the filter
//! comes last because it denies calls of the earlier steps. The vfork child and
//! `capspawn-init` take the same steps through the same code.

use core::convert::Infallible;

use crate::filter::FilterProgram;
use crate::step::{Failure, Fault, Step};
use crate::string_array::StringArray;
use crate::syscall::{call, descriptor, number};

/// What [`confine`] installs.
#[derive(Clone, Copy, Debug)]
pub struct Confine<'a> {
    /// Whether to lock the securebits, which needs `CAP_SETPCAP`.
    pub lock_securebits: bool,
    /// The capabilities that are kept, as bits; all others are dropped.
    pub capabilities: u32,
    /// The descriptor of a Landlock ruleset.
    pub ruleset: Option<i32>,
    /// A seccomp filter; an empty one is not installed.
    pub filter: FilterProgram<'a>,
    /// The socket to which the process passes the listener of its filter, if that reports to an observer.
    pub observer: Option<i32>,
}

const PR_SET_SECUREBITS: usize = 28;
const PR_SET_NO_NEW_PRIVS: usize = 38;
/// `NOROOT` and `NO_CAP_AMBIENT_RAISE` set, `NO_SETUID_FIXUP` and `KEEP_CAPS` not, all four locked.
const SECUREBITS: usize = 0b1110_1011;
const CLOSE_RANGE_CLOEXEC: usize = 4;
const SECCOMP_SET_MODE_FILTER: usize = 1;
const CAPABILITY_VERSION_3: u32 = 0x2008_0522;
const AT_EMPTY_PATH: usize = 0x1000;
const SIG_SETMASK: usize = 2;
const SIGKILL: usize = 9;
const SIGSTOP: usize = 19;
/// The bytes of the kernel's signal set.
const SIGSET_BYTES: usize = 8;

/// Sets every signal to its default action and blocks none. This includes signals that
/// the parent ignores: `CLONE_CLEAR_SIGHAND` leaves those ignored, and a program that
/// starts with SIGPIPE ignored misbehaves. Takes 63 system calls.
///
/// # Errors
///
/// The error number of `rt_sigaction(2)` or `rt_sigprocmask(2)`.
pub fn reset_signals() -> Result<(), i32> {
    // The kernel's `struct sigaction`: SIG_DFL, and neither flags, restorer nor mask.
    let default = [0usize; 4];
    let action = (&raw const default).expose_provenance();
    for signal in 1..=64 {
        if signal != SIGKILL && signal != SIGSTOP {
            let args = [signal, action, 0, SIGSET_BYTES, 0, 0];
            // SAFETY: `default` is a `struct sigaction`, which the kernel reads. The signal handlers are the caller's
            // own copy, since no clone here uses CLONE_SIGHAND.
            unsafe { call(number::RT_SIGACTION, args)? };
        }
    }
    unblock_signals()
}

/// Empties the signal mask.
///
/// # Errors
///
/// The error number of `rt_sigprocmask(2)`.
pub fn unblock_signals() -> Result<(), i32> {
    let none = 0u64;
    let mask = (&raw const none).expose_provenance();
    let args = [SIG_SETMASK, mask, 0, SIGSET_BYTES, 0, 0];
    // SAFETY: `none` is a signal set of 8 bytes, which the kernel reads.
    unsafe { call(number::RT_SIGPROCMASK, args) }.map(drop)
}

/// Marks every descriptor from 3 on close-on-exec.
///
/// # Errors
///
/// The error number of `close_range(2)`.
pub fn close_on_exec() -> Result<(), i32> {
    let args = [3, u32::MAX as usize, CLOSE_RANGE_CLOEXEC, 0, 0, 0];
    // SAFETY: the call takes no pointer. It closes nothing, so that no owner of a descriptor is affected.
    unsafe { call(number::CLOSE_RANGE, args) }.map(drop)
}

/// Sets `no_new_privs`: no exec grants privileges from here on.
///
/// # Errors
///
/// The error number of `prctl(2)`.
pub fn no_new_privileges() -> Result<(), i32> {
    // SAFETY: the call takes no pointer. The flag belongs to the calling task.
    unsafe { call(number::PRCTL, [PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0]) }.map(drop)
}

/// Takes the meaning from user id 0, which grants no capability from here on, and locks
/// that.
///
/// # Errors
///
/// The error number of `prctl(2)`.
pub fn lock_securebits() -> Result<(), i32> {
    // SAFETY: the call takes no pointer. The bits belong to the calling task.
    unsafe { call(number::PRCTL, [PR_SET_SECUREBITS, SECUREBITS, 0, 0, 0, 0]) }.map(drop)
}

/// Becomes the user `uid` and the group `gid`, in no other group, and locks the securebits:
/// that needs a capability which the change of the user takes away. The memory of the process
/// becomes undumpable, and with it every process that shares it.
///
/// # Errors
///
/// The error number of the call that failed.
pub fn become_user(uid: u32, gid: u32) -> Result<(), i32> {
    let (uid, gid) = (uid as usize, gid as usize);
    // SAFETY: the kernel reads no pointer of an empty list. The credentials belong to the calling task.
    unsafe { call(number::SETGROUPS, [0; 6])? };
    // SAFETY: the call takes no pointer.
    unsafe { call(number::SETRESGID, [gid, gid, gid, 0, 0, 0])? };
    lock_securebits()?;
    // SAFETY: the call takes no pointer.
    unsafe { call(number::SETRESUID, [uid, uid, uid, 0, 0, 0]) }.map(drop)
}

/// Drops every capability but those of the bits `kept`.
///
/// # Errors
///
/// The error number of `capset(2)`.
pub fn drop_capabilities(kept: u32) -> Result<(), i32> {
    let header = [CAPABILITY_VERSION_3, 0];
    // Effective, permitted, inheritable, and the same for the capabilities from 32 on.
    let sets = [kept, kept, 0, 0, 0, 0];
    let header = (&raw const header).expose_provenance();
    let sets = (&raw const sets).expose_provenance();
    // SAFETY: the kernel reads a header of version 3 and, as that version demands, two times three words.
    unsafe { call(number::CAPSET, [header, sets, 0, 0, 0, 0]) }.map(drop)
}

/// Takes the steps from `no_new_privs` to the filter.
///
/// # Errors
///
/// The first step that failed; those after it are not taken.
pub fn confine(confine: &Confine<'_>, fault: Fault) -> Result<(), Failure> {
    fault.guard(Step::NoNewPrivileges, no_new_privileges)?;
    fault.guard(Step::Capabilities, || {
        if confine.lock_securebits {
            lock_securebits()?;
        }
        drop_capabilities(confine.capabilities)
    })?;
    fault.guard(Step::Landlock, || {
        let Some(ruleset) = confine.ruleset else {
            return Ok(());
        };
        let args = [descriptor(ruleset), 0, 0, 0, 0, 0];
        // SAFETY: the call takes no pointer. The domain belongs to the calling task.
        unsafe { call(number::LANDLOCK_RESTRICT_SELF, args) }.map(drop)
    })?;
    fault.guard(Step::Seccomp, || {
        if confine.filter.is_empty() {
            return Ok(());
        }
        match confine.observer {
            None => install(&confine.filter),
            Some(socket) => install_observed(&confine.filter, socket),
        }
    })
}

/// Installs a filter, in front of those that the process has.
///
/// # Errors
///
/// The error number of `seccomp(2)`: without `no_new_privs` it needs a privilege.
pub fn install(filter: &FilterProgram<'_>) -> Result<(), i32> {
    let program = core::ptr::from_ref(filter).expose_provenance();
    let args = [SECCOMP_SET_MODE_FILTER, 0, program, 0, 0, 0];
    // SAFETY: a `FilterProgram` is a `struct sock_fprog` that borrows its instructions; the kernel reads both.
    unsafe { call(number::SECCOMP, args) }.map(drop)
}

/// Installs a filter some of whose actions are `SECCOMP_RET_USER_NOTIF`, and passes its listener to the process at the
/// other end of `socket`. A call with that action waits for the answer of that process, and fails with `ENOSYS` once
/// nobody holds the listener.
///
/// # Errors
///
/// The error number of `seccomp(2)`, which needs Linux 5.19, or of `sendmsg(2)`.
pub fn install_observed(filter: &FilterProgram<'_>, socket: i32) -> Result<(), i32> {
    const NEW_LISTENER: usize = 8;
    /// Once the observer has read of a call, no signal but a deadly one interrupts the call: a program that uses
    /// signals as timers would otherwise repeat it for ever.
    const WAIT_KILLABLE: usize = 32;
    const SCM_RIGHTS: u64 = 1;
    const SOL_SOCKET: u64 = 1;
    const MSG_NOSIGNAL: usize = 0x4000;
    let program = core::ptr::from_ref(filter).expose_provenance();
    let flags = NEW_LISTENER | WAIT_KILLABLE;
    let args = [SECCOMP_SET_MODE_FILTER, flags, program, 0, 0, 0];
    // SAFETY: a `FilterProgram` is a `struct sock_fprog` that borrows its instructions; the kernel reads both.
    let listener = unsafe { call(number::SECCOMP, args)? };
    let byte = 0u8;
    let part = [(&raw const byte).expose_provenance(), 1];
    // A `struct cmsghdr` of 20 bytes, with one descriptor.
    let control = [20, SCM_RIGHTS << 32 | SOL_SOCKET, listener as u64];
    // A `struct msghdr`: no address, one part, one control message, no flags.
    let header = [
        0,
        0,
        (&raw const part).expose_provenance(),
        1,
        (&raw const control).expose_provenance(),
        size_of_val(&control),
        0,
    ];
    let header = (&raw const header).expose_provenance();
    let args = [descriptor(socket), header, MSG_NOSIGNAL, 0, 0, 0];
    // SAFETY: the kernel reads a `struct msghdr` with one part and one control message, all of them local.
    let sent = unsafe { call(number::SENDMSG, args) };
    // Else the process would wait for an answer also when the observer has died.
    // SAFETY: the call takes no pointer, and nothing else knows the descriptor.
    let _ = unsafe { call(number::CLOSE, [listener, 0, 0, 0, 0, 0]) };
    sent.map(drop)
}

/// Executes the open file `program`, as `fexecve(3)`. Returns only if that failed.
///
/// # Errors
///
/// The error number of `execveat(2)`.
pub fn execute(
    program: i32,
    argv: StringArray<'_>,
    envp: StringArray<'_>,
) -> Result<Infallible, i32> {
    let args = [
        descriptor(program),
        c"".as_ptr().expose_provenance(),
        argv.as_ptr().expose_provenance(),
        envp.as_ptr().expose_provenance(),
        AT_EMPTY_PATH,
        0,
    ];
    // SAFETY: the path is an empty C string and both arrays are null-terminated arrays of C strings, by the contract
    // of `StringArray`; the kernel reads them.
    let failed = unsafe { call(number::EXECVEAT, args) };
    Err(failed.err().unwrap_or(0))
}

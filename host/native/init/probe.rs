//! The probe: tries what its confinement should deny, and exits with what it could do.
//!
//! It runs under a confinement without roots and without network. Versions and settings of
//! a kernel do not predict what a host enforces; an attempt shows it.

use core::ffi::CStr;

use capspawn_raw::syscall::{call, exit, number};
use capspawn_raw::wire::ProbeFinding;

const AT_FDCWD: usize = -100isize as usize;
const AF_UNIX: usize = 1;
const AF_INET: usize = 2;
const SOCK_STREAM: usize = 1;
const SOCK_DGRAM: usize = 2;
const O_WRONLY: usize = 1;
const O_DIRECTORY: usize = 0o200_000;
const O_CREAT: usize = 0o100;
const EPERM: i32 = 1;
const ESRCH: i32 = 3;
const PR_GET_NO_NEW_PRIVS: usize = 39;

/// Tries everything and returns the exit status. `canary` is a process outside that it must
/// not be able to signal. A session has a root of its own, so that other paths tell there.
pub(crate) fn run(canary: u32, in_session: bool, free_groups: bool) -> usize {
    let has_null = open(c"/dev/null", O_WRONLY).is_ok();
    let (reads, writes) = if in_session {
        let hosts = [c"/usr", c"/var", c"/home", c"/root", c"/run", c"/sys"];
        let lists = hosts.iter().any(|path| open(path, O_DIRECTORY).is_ok());
        // The session has files of its own in `/etc`.
        let reads = lists || open(c"/etc/passwd", 0).is_ok();
        (reads, open(c"/probe", O_CREAT | O_WRONLY).is_ok())
    } else {
        // The mode lets everybody write /dev/zero, but every confinement grants only reading it.
        let writes = open(c"/dev/zero", O_WRONLY).is_ok();
        (open(c"/", O_DIRECTORY).is_ok(), writes)
    };
    // A stream pair is the one Unix socket that a confinement allows.
    let unix = can_socket(AF_UNIX, SOCK_STREAM)
        || can_socket_pair(SOCK_DGRAM)
        || !can_socket_pair(SOCK_STREAM);
    // SAFETY: signal 0 checks whether a signal could be sent, and sends none.
    let signal = unsafe { call(number::KILL, [canary as usize, 0, 0, 0, 0, 0]) };
    // In a session the canary has no number. It has few processes, so that a low number may be one of its own.
    let is_unreachable = in_session && (signal == Err(ESRCH) || canary < 16);
    // Without a filter it reads nothing, or is not there (ENOSYS).
    // SAFETY: the call stores no more bytes than are passed as the size, none.
    let denied = unsafe { call(number::MODIFY_LDT, [0; 6]) };
    let status = ProbeFinding::status([
        (ProbeFinding::Read, reads),
        (ProbeFinding::Write, writes || !has_null),
        (ProbeFinding::Inet, can_socket(AF_INET, SOCK_STREAM)),
        (ProbeFinding::Unix, unix),
        (
            ProbeFinding::Signal,
            signal != Err(EPERM) && !is_unreachable,
        ),
        (ProbeFinding::Privileges, !is_unprivileged()),
        (ProbeFinding::Syscalls, denied != Err(EPERM)),
        (ProbeFinding::Group, !keeps_or_leaves_group(free_groups)),
    ]);
    usize::from(status)
}

fn open(path: &CStr, flags: usize) -> Result<usize, i32> {
    // SAFETY: the kernel reads a C string.
    unsafe {
        call(
            number::OPENAT,
            [AT_FDCWD, path.as_ptr().expose_provenance(), flags, 0, 0, 0],
        )
    }
}

fn can_socket(family: usize, kind: usize) -> bool {
    // SAFETY: the call takes no pointer.
    unsafe { call(number::SOCKET, [family, kind, 0, 0, 0, 0]) }.is_ok()
}

fn can_socket_pair(kind: usize) -> bool {
    let mut pair = [0i32; 2];
    let args = [AF_UNIX, kind, 0, (&raw mut pair).expose_provenance(), 0, 0];
    // SAFETY: the kernel stores two descriptors in `pair`.
    unsafe { call(number::SOCKETPAIR, args) }.is_ok()
}

/// Whether a process leaves the group and the session into which it is born, if they are `free`,
/// and else stays in them: the filter then answers `setpgid(2)` and `setsid(2)` with 0 and makes neither. A child tries
/// it, since this process may lead a group, and to a leader the kernel itself refuses `setsid`.
fn keeps_or_leaves_group(free: bool) -> bool {
    const SIGCHLD: usize = 17;
    const P_PID: usize = 1;
    const WEXITED: usize = 4;
    let before = (group(), session_id());
    // SAFETY: without CLONE_VM the child gets a copy of the memory, with the stack at the same address.
    match unsafe { call(number::CLONE, [SIGCHLD, 0, 0, 0, 0, 0]) } {
        Ok(0) => {
            // SAFETY: the call takes no pointer.
            let left = unsafe { call(number::SETSID, [0; 6]) };
            let stayed = left == Ok(0) && (group(), session_id()) == before;
            if free {
                let has_left = left.is_ok() && left == group() && left == session_id();
                exit(usize::from(stayed || !has_left))
            }
            // SAFETY: the call takes no pointer.
            let moved = unsafe { call(number::SETPGID, [0; 6]) };
            let unmoved = moved == Ok(0) && (group(), session_id()) == before;
            exit(usize::from(!(unmoved && stayed)))
        }
        Ok(child) => {
            let mut info = [0i32; 32];
            let args = [
                P_PID,
                child,
                (&raw mut info).expose_provenance(),
                WEXITED,
                0,
                0,
            ];
            // SAFETY: `info` has the 128 bytes of a `siginfo_t`, which the kernel stores.
            let ended = unsafe { call(number::WAITID, args) };
            let [_, _, code, _, _, _, status, ..] = info;
            const CLD_EXITED: i32 = 1;
            ended.is_ok() && code == CLD_EXITED && status == 0
        }
        Err(_) => false,
    }
}

fn group() -> Result<usize, i32> {
    // SAFETY: the call takes no pointer.
    unsafe { call(number::GETPGID, [0; 6]) }
}

fn session_id() -> Result<usize, i32> {
    // SAFETY: the call takes no pointer.
    unsafe { call(number::GETSID, [0; 6]) }
}

/// Whether the process has no capability and can gain none by an exec.
fn is_unprivileged() -> bool {
    // SAFETY: the call takes no pointer.
    let flag = unsafe { call(number::PRCTL, [PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0, 0]) };
    const CAPABILITY_VERSION_3: u32 = 0x2008_0522;
    let header = [CAPABILITY_VERSION_3, 0];
    let mut sets = [u32::MAX; 6];
    let args = [
        (&raw const header).expose_provenance(),
        (&raw mut sets).expose_provenance(),
        0,
        0,
        0,
        0,
    ];
    // SAFETY: the kernel reads a header of version 3 and stores two times three words, as that version demands.
    let got = unsafe { call(number::CAPGET, args) };
    let [effective, permitted, _, effective_high, permitted_high, _] = sets;
    let none = effective | permitted | effective_high | permitted_high == 0;
    flag == Ok(1) && got.is_ok() && none
}

//! The self-test: one bit for each thing that the confinement should deny and
//! does not. Run under a confinement without roots and without network.

use capspawn_raw::syscall::{call, exit, number};

const AT_FDCWD: usize = -100isize as usize;
const O_WRONLY: usize = 1;
const O_DIRECTORY: usize = 0o200_000;
const O_CREAT: usize = 0o100;
const EPERM: i32 = 1;
const ESRCH: i32 = 3;
const PR_GET_NO_NEW_PRIVS: usize = 39;

/// Tries everything; returns the bits. In a session, which has a root of its own, other places tell.
pub(crate) fn run(canary: u32, session: bool) -> usize {
    let no_null = open(c"/dev/null", O_WRONLY).is_err();
    let (read, write) = if session {
        let hosts = [
            c"/etc", c"/usr", c"/var", c"/home", c"/root", c"/run", c"/sys",
        ];
        let read = hosts.iter().any(|path| open(path, O_DIRECTORY).is_ok());
        (read, no_null || open(c"/probe", O_CREAT | O_WRONLY).is_ok())
    } else {
        // Writable for everybody by its mode, and granted for reading alone.
        let write = no_null || open(c"/dev/zero", O_WRONLY).is_ok();
        (open(c"/", O_DIRECTORY).is_ok(), write)
    };
    let inet = socket(2, 1);
    let unix = socket(1, 1) || socket_pair(2) || !socket_pair(1);
    // SAFETY: signal 0 only asks whether a signal might be sent.
    let signal = unsafe { call(number::KILL, [canary as usize, 0, 0, 0, 0, 0]) };
    // A session has few processes, and a number as low may be one of its own.
    let signal = signal != Err(EPERM) && !(session && (signal == Err(ESRCH) || canary < 16));
    let privileges = !unprivileged();
    let group = !keeps_group();
    // Without a filter a null name is a bad address (EFAULT).
    // SAFETY: the null pointer is refused by the kernel, if it is looked at.
    let calls = unsafe { call(number::MEMFD_CREATE, [0; 6]) } != Err(EPERM);
    let all = [read, write, inet, unix, signal, privileges, calls, group];
    let mut bits = 0;
    for (bit, open) in all.iter().enumerate() {
        bits |= usize::from(*open) << bit;
    }
    bits
}

fn open(path: &core::ffi::CStr, flags: usize) -> Result<usize, i32> {
    // SAFETY: a C string, read only.
    unsafe {
        call(
            number::OPENAT,
            [AT_FDCWD, path.as_ptr().addr(), flags, 0, 0, 0],
        )
    }
}

fn socket(family: usize, kind: usize) -> bool {
    // SAFETY: takes no pointer.
    unsafe { call(number::SOCKET, [family, kind, 0, 0, 0, 0]) }.is_ok()
}

fn socket_pair(kind: usize) -> bool {
    let mut pair = [0i32; 2];
    let args = [1, kind, 0, (&raw mut pair).addr(), 0, 0];
    // SAFETY: the kernel stores two descriptors in `pair`.
    unsafe { call(number::SOCKETPAIR, args) }.is_ok()
}

/// Whether a process stays in the group and the session that it is born into. Tried by one that is no leader: to a
/// leader the kernel refuses by itself what the filter answers with 0 and does not do.
fn keeps_group() -> bool {
    const SIGCHLD: usize = 17;
    const P_PID: usize = 1;
    const WEXITED: usize = 4;
    let before = (group(), session());
    // SAFETY: without CLONE_VM the child goes on with a copy of the memory, on the same stack address.
    match unsafe { call(number::CLONE, [SIGCHLD, 0, 0, 0, 0, 0]) } {
        Ok(0) => {
            // SAFETY: takes no pointer.
            let moved = unsafe { call(number::SETPGID, [0; 6]) };
            let unmoved = moved == Ok(0) && (group(), session()) == before;
            // SAFETY: takes no pointer.
            let left = unsafe { call(number::SETSID, [0; 6]) };
            let stayed = left == Ok(0) && (group(), session()) == before;
            exit(usize::from(!(unmoved && stayed)))
        }
        Ok(child) => {
            // A `siginfo_t`.
            let mut info = [0i32; 32];
            let args = [P_PID, child, (&raw mut info).addr(), WEXITED, 0, 0];
            // SAFETY: writable and as large as the kernel's structure.
            let ended = unsafe { call(number::WAITID, args) };
            let [_, _, code, _, _, _, status, ..] = info;
            const CLD_EXITED: i32 = 1;
            ended.is_ok() && code == CLD_EXITED && status == 0
        }
        Err(_) => false,
    }
}

fn group() -> Result<usize, i32> {
    // SAFETY: takes no pointer.
    unsafe { call(number::GETPGID, [0; 6]) }
}

fn session() -> Result<usize, i32> {
    // SAFETY: takes no pointer.
    unsafe { call(number::GETSID, [0; 6]) }
}

fn unprivileged() -> bool {
    // SAFETY: takes no pointer.
    let flag = unsafe { call(number::PRCTL, [PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0, 0]) };
    let header = [0x2008_0522u32, 0];
    let mut sets = [u32::MAX; 6];
    let args = [
        (&raw const header).addr(),
        (&raw mut sets).addr(),
        0,
        0,
        0,
        0,
    ];
    // SAFETY: a version 3 header and room for the three words of both sets.
    let got = unsafe { call(number::CAPGET, args) };
    let [effective, permitted, _, effective_high, permitted_high, _] = sets;
    let none = effective | permitted | effective_high | permitted_high == 0;
    flag == Ok(1) && got.is_ok() && none
}

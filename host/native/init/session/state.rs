//! What the children of a session have left that a later child would find: files in the session's own file
//! systems, and objects of System V and POSIX IPC.

use core::ffi::CStr;

use super::mount;
use capspawn_raw::child::PassArguments;
use capspawn_raw::syscall::{call, number};

const ENOENT: i32 = 2;
const EOPNOTSUPP: i32 = 95;

/// The inodes in use in each of the session's own file systems that children may write to. A child cannot remove one that
/// the session began with: the root of a file system, and places with mounts on them.
#[derive(PartialEq, Eq)]
pub(super) struct Files {
    inodes: [u64; 2],
    /// The size of the directory of POSIX message queues, which grows with each queue.
    queues: usize,
}

/// Returns how many files there are now.
pub(super) fn files(pass: PassArguments) -> Result<Files, i32> {
    let count = |path| inodes(path, pass);
    Ok(Files {
        inodes: [count(c"/tmp")?, count(c"/dev/shm")?],
        queues: match mount::inside(c"/dev/mqueue", true, pass) {
            Ok(directory) => directory.stat()?.size,
            // This kernel has no such queues.
            Err(ENOENT) => 0,
            Err(errno) => return Err(errno),
        },
    })
}

/// Returns whether anything is left that was not there `before`, or whether that cannot be found out.
pub(super) fn is_found(before: Option<&Files>, pass: PassArguments) -> bool {
    let as_before = match (before, files(pass)) {
        (Some(before), Ok(now)) => *before == now,
        _ => false,
    };
    !as_before || has_ipc()
}

/// Returns the number of inodes in use in the file system at `path`.
fn inodes(path: &CStr, pass: PassArguments) -> Result<u64, i32> {
    let directory = mount::inside(path, true, pass)?;
    // A `struct statfs`, of which the sixth and the seventh word are the inodes and the free ones.
    let mut found = [0u64; 15];
    let room = (&raw mut found).expose_provenance();
    let args = [directory.arg(), room, 0, 0, 0, 0];
    // SAFETY: the kernel stores a `struct statfs`, which has 120 bytes.
    unsafe { call(number::FSTATFS, args)? };
    let [_, _, _, _, _, all, free, ..] = found;
    match all {
        // Without a limit the kernel does not count them.
        0 => Err(EOPNOTSUPP),
        _ => Ok(all.wrapping_sub(free)),
    }
}

/// Returns whether there is a segment, a set of semaphores or a message queue. Where the filter denies the calls to
/// children, it denies them here too, and there is none.
fn has_ipc() -> bool {
    const SHM_INFO: usize = 14;
    const MSG_INFO: usize = 12;
    const SEM_INFO: usize = 19;
    // Of a `struct shm_info` the first number, of a `struct msginfo` the first, and of a `struct seminfo` the
    // eighth: how many there are.
    let mut info = [0i32; 32];
    let room = (&raw mut info).expose_provenance();
    // SAFETY: the kernel stores a `struct shm_info`, which has 48 bytes.
    let segments = unsafe { call(number::SHMCTL, [0, SHM_INFO, room, 0, 0, 0]) };
    let has_segments = segments.is_ok() && info.first().is_some_and(|count| *count > 0);
    // SAFETY: the kernel stores a `struct msginfo`, which has 32 bytes.
    let queues = unsafe { call(number::MSGCTL, [0, MSG_INFO, room, 0, 0, 0]) };
    let has_queues = queues.is_ok() && info.first().is_some_and(|count| *count > 0);
    // SAFETY: the kernel stores a `struct seminfo`, which has 40 bytes.
    let sets = unsafe { call(number::SEMCTL, [0, 0, SEM_INFO, room, 0, 0]) };
    let has_sets = sets.is_ok() && info.get(7).is_some_and(|count| *count > 0);
    has_segments || has_queues || has_sets
}

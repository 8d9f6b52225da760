//! What the children of a session have left that a later child would find: files in the session's own file
//! systems, objects of System V IPC, and POSIX message queues.

use core::ffi::CStr;

use super::descriptor::Descriptor;
use super::mount;
use super::server::Server;
use capspawn_raw::child::PassArguments;
use capspawn_raw::syscall::{call, number};

const EOPNOTSUPP: i32 = 95;

/// The inodes in use in each of the session's own file systems that children may write to. A child cannot remove one that
/// the session began with: the root of a file system, and places with mounts on them.
#[derive(PartialEq, Eq)]
pub(super) struct Files([u64; 2]);

/// Returns how many files there are now.
pub(super) fn files(pass: PassArguments) -> Result<Files, i32> {
    let count = |path| inodes(path, pass);
    Ok(Files([count(c"/tmp")?, count(c"/dev/shm")?]))
}

/// Returns whether anything is left, or whether that cannot be found out.
pub(super) fn is_found(server: &Server<'_>) -> bool {
    let as_before = match (&server.files, files(server.filter_pass)) {
        (Some(before), Ok(now)) => *before == now,
        _ => false,
    };
    !as_before || has_ipc() || has_message_queues(server).unwrap_or(true)
}

/// Returns whether there is a POSIX message queue: a file of their file system. True also where that is not shown and nothing
/// else keeps children from making one.
fn has_message_queues(server: &Server<'_>) -> Result<bool, i32> {
    const AT_FDCWD: usize = -100isize as usize;
    const O_DIRECTORY_CLOEXEC: usize = 0o2_200_000;
    /// The `struct linux_dirent64` of `.` and of `..`.
    const WITHOUT_FILES: usize = 48;
    let device = |path| mount::inside(path, true, server.filter_pass)?.stat();
    let path = c"/dev/mqueue";
    if device(path)?.device == device(c"/dev")?.device {
        // Where it could not be mounted, Landlock denies queues.
        return Ok(server.child_ruleset.is_none());
    }
    let path = path.as_ptr().expose_provenance();
    let args = [AT_FDCWD, path, O_DIRECTORY_CLOEXEC, 0, 0, 0];
    // SAFETY: the kernel reads a C string.
    let directory = Descriptor::new(unsafe { call(number::OPENAT, args) })?;
    let mut entries = [0u64; 128];
    let room = (&raw mut entries).expose_provenance();
    let args = [directory.arg(), room, size_of_val(&entries), 0, 0, 0];
    // SAFETY: the kernel stores no more bytes than are passed as the size.
    let bytes = unsafe { call(number::GETDENTS64, args) }?;
    Ok(bytes > WITHOUT_FILES)
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

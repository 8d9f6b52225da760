//! The change to an unprivileged user.

use capspawn_raw::confine;
use capspawn_raw::syscall::{call, number};

/// Becomes the user `uid` and the group `gid`, in no other group, and locks the securebits:
/// that needs a capability which the change of the user takes away.
pub(crate) fn become_user(uid: u32, gid: u32) -> Result<(), i32> {
    let (uid, gid) = (uid as usize, gid as usize);
    // SAFETY: the kernel reads no pointer of an empty list. The process shares no memory with the host.
    unsafe { call(number::SETGROUPS, [0; 6])? };
    // SAFETY: the call takes no pointer.
    unsafe { call(number::SETRESGID, [gid, gid, gid, 0, 0, 0])? };
    confine::lock_securebits()?;
    // SAFETY: the call takes no pointer.
    unsafe { call(number::SETRESUID, [uid, uid, uid, 0, 0, 0]) }.map(drop)
}

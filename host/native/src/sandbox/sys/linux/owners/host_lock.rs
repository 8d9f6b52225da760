//! Keeps two hosts of one machine from giving the same id to owners of theirs.
//!
//! Each id is a byte of one file, and a host locks the byte of an id that it uses. The kernel
//! drops the locks when the host ends, however it ends. Rejected: a file for each id, which
//! would take a descriptor for each owner. A host that cannot make the file, because `/run`
//! is missing or read-only, goes by the machine's processes alone.

#![allow(unsafe_code, reason = "rustix locks whole files only")]

use std::os::fd::{AsRawFd, OwnedFd};

use rustix::fs::{Mode, OFlags, fstat, open};

/// Where hosts of one machine find each other. Only root can open it.
const PATH: &str = "/run/capspawn-owner-uids";

/// The file with the locks; none where it cannot be made.
#[derive(Debug)]
pub(super) struct HostLock(Option<OwnedFd>);

impl HostLock {
    pub(super) fn open() -> Self {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = open(PATH, flags, Mode::RUSR | Mode::WUSR);
        // Another user's file could be locked by that user.
        let is_ours = |file: &OwnedFd| fstat(file).is_ok_and(|found| found.st_uid == 0);
        let file = file.ok().filter(is_ours);
        if file.is_none() {
            tracing::warn!(
                "cannot lock user ids in {PATH}: another capspawn host that runs as root may use the same ids"
            );
        }
        Self(file)
    }

    /// Locks an id until this host ends; returns whether no other host has it.
    pub(super) fn try_lock(&self, uid: u32) -> bool {
        let Some(file) = &self.0 else { return true };
        // SAFETY: all fields of a `struct flock` are numbers, for which zero is valid.
        let mut lock: libc::flock = unsafe { std::mem::zeroed() };
        #[allow(clippy::cast_possible_truncation, reason = "small constants")]
        {
            lock.l_type = libc::F_WRLCK as libc::c_short;
            lock.l_whence = libc::SEEK_SET as libc::c_short;
        }
        lock.l_start = i64::from(uid);
        lock.l_len = 1;
        // SAFETY: the kernel reads a `struct flock`.
        let locked = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &raw const lock) };
        locked == 0
    }
}

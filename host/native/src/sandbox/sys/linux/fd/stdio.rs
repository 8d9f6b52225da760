//! Descriptors above the standard streams.
//!
//! A child puts its streams at 0, 1 and 2, which must overwrite no descriptor that it still
//! needs. A host that has closed its own streams gets such low numbers for whatever it opens.
//! They are moved up here, before the clone, where a failure can be reported.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::{Uid, fchown, fstatfs};
use rustix::io::fcntl_dupfd_cloexec;
use rustix::process::geteuid;

use crate::launch::{ChildStdio, Identity};

/// The lowest number that is not a standard stream's.
const FIRST: i32 = 3;

/// Moves a descriptor above the standard streams, if it is not already there.
pub(crate) fn above_stdio(fd: OwnedFd) -> io::Result<OwnedFd> {
    if fd.as_raw_fd() >= FIRST {
        Ok(fd)
    } else {
        Ok(fcntl_dupfd_cloexec(fd, FIRST)?)
    }
}

/// The file system of pipes without a name: `PIPEFS_MAGIC`.
const PIPE_FS: u64 = 0x5049_5045;

/// Gives the pipes among a child's streams to the child's user, so that the child can open them by a path too
/// (`/dev/stdout`, `/proc/self/fd/1`): the kernel compares the file's owner then, which is the host. Files that have a name
/// stay as they are. Where the host may not change the owner, the streams work by their descriptors alone.
pub(crate) fn give_pipes(stdio: &ChildStdio, user: Identity) {
    if geteuid().as_raw() == user.uid {
        return;
    }
    let streams = [&stdio.stdin, &stdio.stdout, &stdio.stderr];
    for stream in streams.into_iter().flatten() {
        let is_pipe =
            |fd| fstatfs(fd).is_ok_and(|found| u64::try_from(found.f_type) == Ok(PIPE_FS));
        if is_pipe(stream) {
            let _ = fchown(stream, Some(Uid::from_raw(user.uid)), None);
        }
    }
}

/// Opens the null device for reading and writing.
pub(crate) fn null() -> io::Result<OwnedFd> {
    Ok(File::options()
        .read(true)
        .write(true)
        .open("/dev/null")?
        .into())
}

/// A borrowed descriptor above the standard streams, or a copy that is above them.
pub(crate) enum AboveStdio<'a> {
    Borrowed(BorrowedFd<'a>),
    Copied(OwnedFd),
}

impl<'a> AboveStdio<'a> {
    /// Returns `fd`, or a copy of it if its number is a standard stream's.
    pub(crate) fn new(fd: BorrowedFd<'a>) -> io::Result<Self> {
        if fd.as_raw_fd() >= FIRST {
            Ok(Self::Borrowed(fd))
        } else {
            Ok(Self::Copied(fcntl_dupfd_cloexec(fd, FIRST)?))
        }
    }
}

impl AsFd for AboveStdio<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Borrowed(fd) => *fd,
            Self::Copied(fd) => fd.as_fd(),
        }
    }
}

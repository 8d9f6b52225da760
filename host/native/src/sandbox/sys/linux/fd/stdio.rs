//! Descriptors above the standard streams.
//!
//! The child puts its streams at 0, 1 and 2, which must overwrite nothing that it
//! still needs. A host that has closed its own streams gets such numbers for
//! whatever it opens; they are moved here, where that may fail in the open.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::io::fcntl_dupfd_cloexec;

/// Moves a descriptor above the standard streams, where it is not already: a
/// host may have closed its own.
pub(crate) fn raised(fd: OwnedFd) -> io::Result<OwnedFd> {
    if fd.as_raw_fd() > 2 {
        Ok(fd)
    } else {
        Ok(fcntl_dupfd_cloexec(fd, 3)?)
    }
}

/// The null device, to be read and written.
pub(crate) fn null() -> io::Result<OwnedFd> {
    Ok(File::options()
        .read(true)
        .write(true)
        .open("/dev/null")?
        .into())
}

/// A borrowed descriptor above the standard streams, or a copy that is.
pub(crate) enum Above<'a> {
    Borrowed(BorrowedFd<'a>),
    Copied(OwnedFd),
}

impl<'a> Above<'a> {
    /// Returns `fd`, or a copy of it.
    pub(crate) fn new(fd: BorrowedFd<'a>) -> io::Result<Self> {
        if fd.as_raw_fd() > 2 {
            Ok(Self::Borrowed(fd))
        } else {
            Ok(Self::Copied(fcntl_dupfd_cloexec(fd, 3)?))
        }
    }
}

impl AsFd for Above<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Borrowed(fd) => *fd,
            Self::Copied(fd) => fd.as_fd(),
        }
    }
}

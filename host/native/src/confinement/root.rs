//! A part of the file system that a grant names, and what that was at load.
//!
//! A path alone would be looked up again for every sandbox that is built, and a
//! child that may write above it could have put a link there by then: the next
//! sandbox would open what the link names. So the place that the grant led to is
//! kept, and opened without following any link.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::{fmt, io};

use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, fstat, open, openat2};
use rustix::io::Errno;

/// A directory (or file) below which something is allowed or denied.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct FsRoot {
    /// Absolute, as the grant says it: where the child finds it.
    pub written: PathBuf,
    /// Where that led when the grant was loaded: what is opened.
    pub real: PathBuf,
}

impl FsRoot {
    /// Returns the root `written`, which leads where it leads now.
    ///
    /// # Errors
    ///
    /// It does not exist, or the way to it is closed.
    pub fn resolve(written: impl Into<PathBuf>) -> io::Result<Self> {
        let written = written.into();
        let real = written.canonicalize()?;
        Ok(Self { written, real })
    }

    /// Opens what the root led to (`O_PATH`).
    ///
    /// # Errors
    ///
    /// It is gone, or there is a link on its way that was not there: `ELOOP`.
    #[allow(dead_code, reason = "the launcher opens roots, where there is one")]
    pub(crate) fn open(&self) -> io::Result<OwnedFd> {
        let fd = open_resolved(&self.real, OFlags::PATH | OFlags::CLOEXEC)?;
        // With O_PATH a link at the end is opened itself, where openat2 is missing.
        if FileType::from_raw_mode(fstat(&fd)?.st_mode).is_symlink() {
            return Err(Errno::LOOP.into());
        }
        Ok(fd)
    }
}

/// A root that is no link and below none.
impl<P: Into<PathBuf>> From<P> for FsRoot {
    fn from(path: P) -> Self {
        let real: PathBuf = path.into();
        Self {
            written: real.clone(),
            real,
        }
    }
}

/// As a path in quotes, the one that the grant says.
impl fmt::Debug for FsRoot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.written.fmt(f)
    }
}

/// Opens a path that has been resolved: a link on it by now was put there since,
/// and is refused.
pub(crate) fn open_resolved(path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
    match openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS) {
        // Older and filtered kernels look at the last part alone.
        Err(Errno::NOSYS | Errno::PERM) => open(path, flags | OFlags::NOFOLLOW, Mode::empty()),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_link_that_was_put_there_later_is_not_followed() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().canonicalize().expect("it exists");
        fs::create_dir(path.join("out")).expect("an empty folder");
        symlink("out", path.join("link")).expect("an empty folder");
        let root = FsRoot::resolve(path.join("link")).expect("it leads somewhere");
        assert_eq!(root.real, path.join("out"));
        root.open().expect("the grant's own link is followed");
        fs::rename(path.join("out"), path.join("away")).expect("it is ours");
        symlink("/etc", path.join("out")).expect("the name is free");
        let error = root.open().expect_err("it is another place now");
        assert_eq!(Errno::from_io_error(&error), Some(Errno::LOOP));
    }
}

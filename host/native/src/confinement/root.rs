//! A part of the file system that a grant names, resolved when the grant is loaded.
//!
//! A launcher opens the resolved path and follows no symbolic link on it. If it
//! resolved the written path again for each sandbox, a child that may write a
//! directory on that path could put a link there, and the next sandbox would open
//! the link's target.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::{fmt, io};

use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, fstat, open, openat2};
use rustix::io::Errno;

/// A directory, or a file, below which something is allowed or denied.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct FsRoot {
    /// The absolute path as the grant writes it: where the child finds the root.
    pub written: PathBuf,
    /// What that path resolved to when the grant was loaded: what is opened.
    pub real: PathBuf,
}

impl FsRoot {
    /// Returns the root `written`, resolved as it is now. Similar to `realpath`.
    ///
    /// # Errors
    ///
    /// The path does not exist, or a directory on it cannot be searched.
    pub fn resolve(written: impl Into<PathBuf>) -> io::Result<Self> {
        let written = written.into();
        let real = written.canonicalize()?;
        Ok(Self { written, real })
    }

    /// Opens the resolved path (`O_PATH`).
    ///
    /// # Errors
    ///
    /// The file is gone, or the path has a symbolic link by now (`ELOOP`).
    #[allow(dead_code, reason = "the launcher opens roots, where there is one")]
    pub(crate) fn open(&self) -> io::Result<OwnedFd> {
        let fd = open_resolved(&self.real, OFlags::PATH | OFlags::CLOEXEC)?;
        // Without openat2, O_PATH opens a link at the end of the path itself.
        if FileType::from_raw_mode(fstat(&fd)?.st_mode).is_symlink() {
            return Err(Errno::LOOP.into());
        }
        Ok(fd)
    }
}

/// A root whose path has no symbolic links.
impl<P: Into<PathBuf>> From<P> for FsRoot {
    fn from(path: P) -> Self {
        let real: PathBuf = path.into();
        Self {
            written: real.clone(),
            real,
        }
    }
}

/// Formats the written path, in quotes.
impl fmt::Debug for FsRoot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.written.fmt(f)
    }
}

/// Opens a path that has been resolved before. A symbolic link on it was put there
/// since, and is refused.
pub(crate) fn open_resolved(path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
    match openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS) {
        // Without openat2 (older kernels, seccomp filters) only the last part is checked.
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
    fn a_link_that_was_created_after_the_load_is_not_followed() {
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

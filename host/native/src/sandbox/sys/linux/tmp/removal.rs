//! Removes a directory that children have filled.
//!
//! The problem: a process that is still there may put a symbolic link in a directory's place while
//! that is removed. What follows the link then changes files outside, with the rights of the host.
//! And a child may have made directories that lie as deep as it likes.
//!
//! The way chosen: each directory is opened below the one that contains it, without following a
//! link, and is changed by its descriptor alone. A directory in a directory is moved to the top, so that
//! the depth takes neither descriptors nor stack. Rejected: the standard library's
//! `remove_dir_all`, after a change of the modes by path: it is by descriptors too, but a child can
//! take the rights to a directory from its own user, which is the host's, and then it stops.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{
    AtFlags, CWD, Dir, Mode, OFlags, chmodat, fchmod, fstat, openat, renameat, unlinkat,
};
use rustix::io::Errno;

use super::name::random_name;

/// For how long a directory is emptied again and again, 5 min: somebody fills it meanwhile.
const LONGEST: Duration = Duration::from_secs(300);

/// What the user needs to list a directory and to change what is in it.
const OWN_RIGHTS: u32 = 0o700;

/// Removes the directory at `path` with all that is in it. Follows no symbolic link below the directory that contains it.
pub(super) fn remove(path: &Path) {
    match try_remove(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            let path = path.display();
            tracing::warn!(%path, %error, "a temporary directory is left");
        }
        _ => {}
    }
}

fn try_remove(path: &Path) -> io::Result<()> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let parent = openat(CWD, parent, directory_flags(), Mode::empty())?;
    let name = std::ffi::CString::new(name.as_encoded_bytes())?;
    let top = Top::open(&parent, &name)?;
    loop {
        top.empty()?;
        if top.remove_empty(&parent, &name)? {
            return Ok(());
        }
    }
}

/// The directory that is removed.
struct Top {
    directory: OwnedFd,
    device: u64,
    start: Instant,
}

impl Top {
    fn open(parent: &OwnedFd, name: &CStr) -> io::Result<Self> {
        let directory = open_directory(parent, name)?;
        let device = fstat(&directory)?.st_dev;
        Ok(Self {
            directory,
            device,
            start: Instant::now(),
        })
    }

    /// Removes each entry.
    fn empty(&self) -> io::Result<()> {
        for entry in Dir::read_from(&self.directory)? {
            let entry = entry?;
            let name = entry.file_name();
            if is_dot(name) || is_removed(unlinkat(&self.directory, name, AtFlags::empty()))? {
                continue;
            }
            loop {
                match self.open_below(&self.directory, name) {
                    Ok(directory) => self.lift_directories(&directory)?,
                    // It is no directory any more, and is found again.
                    Err(error) if is_replaced(&error) => break,
                    Err(error) => return Err(error),
                }
                if self.remove_empty(&self.directory, name)? {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Removes each entry of `directory` that is none, and moves the others to the top.
    fn lift_directories(&self, directory: &OwnedFd) -> io::Result<()> {
        for entry in Dir::read_from(directory)? {
            let entry = entry?;
            let name = entry.file_name();
            if is_dot(name) || is_removed(unlinkat(directory, name, AtFlags::empty()))? {
                continue;
            }
            // A directory can be moved only by whoever may write to it.
            match self.open_below(directory, name) {
                Ok(_) => {}
                Err(error) if is_replaced(&error) => continue,
                Err(error) => return Err(error),
            }
            match renameat(directory, name, &self.directory, random_name()?) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(())
    }

    /// Removes a directory that was emptied. Returns false if it has entries again, until [`LONGEST`] has passed.
    fn remove_empty(&self, parent: &OwnedFd, name: &CStr) -> io::Result<bool> {
        match unlinkat(parent, name, AtFlags::REMOVEDIR) {
            // What is in its place by now is found again.
            Ok(()) | Err(Errno::NOENT | Errno::NOTDIR) => Ok(true),
            Err(Errno::NOTEMPTY | Errno::EXIST) if self.start.elapsed() < LONGEST => Ok(false),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Opens a directory in `parent`, which is on no other file system.
    fn open_below(&self, parent: &OwnedFd, name: &CStr) -> io::Result<OwnedFd> {
        let directory = open_directory(parent, name)?;
        match fstat(&directory)?.st_dev == self.device {
            true => Ok(directory),
            false => Err(Errno::XDEV.into()),
        }
    }
}

/// Opens the directory `name` in `parent`, and gives its user all rights to it.
fn open_directory(parent: &OwnedFd, name: &CStr) -> io::Result<OwnedFd> {
    let directory = match openat(parent, name, directory_flags(), Mode::empty()) {
        Err(Errno::ACCESS) => {
            // Only by a path can the mode of what cannot be read be changed: by that of the descriptor.
            let flags = OFlags::PATH | directory_flags();
            let closed = openat(parent, name, flags, Mode::empty())?;
            let path = format!("/proc/self/fd/{}", closed.as_raw_fd());
            chmodat(CWD, path, Mode::from_raw_mode(OWN_RIGHTS), AtFlags::empty())?;
            openat(&closed, c".", directory_flags(), Mode::empty())?
        }
        directory => directory?,
    };
    if fstat(&directory)?.st_mode & OWN_RIGHTS != OWN_RIGHTS {
        // A privileged host needs no right, and may have none to change it.
        let _ = fchmod(&directory, Mode::from_raw_mode(OWN_RIGHTS));
    }
    Ok(directory)
}

fn directory_flags() -> OFlags {
    OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC
}

fn is_dot(name: &CStr) -> bool {
    matches!(name.to_bytes(), b"." | b"..")
}

/// Whether an entry that is no directory was removed, or is gone.
fn is_removed(unlinked: rustix::io::Result<()>) -> io::Result<bool> {
    match unlinked {
        Ok(()) | Err(Errno::NOENT) => Ok(true),
        // POSIX has PERM for a directory.
        Err(Errno::ISDIR | Errno::PERM) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

/// Whether a directory could not be opened because its name is gone, or another file's.
fn is_replaced(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::ENOENT | libc::ENOTDIR | libc::ELOOP)
    )
}

//! A directory that the host has made in a hierarchy, and the cgroups in it.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{AtFlags, Dir, FlockOperation, Mode, OFlags};
use rustix::fs::{flock, fstat, mkdirat, openat, statat, unlinkat};
use rustix::io::{Errno, pread, retry_on_intr, write};

/// The names of these directories begin so.
pub(super) const PREFIX: &str = "capspawn-";

const DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::CLOEXEC);

/// A directory of this host. A lock on it shows other hosts that its host lives; dropping it
/// removes it.
#[derive(Debug)]
pub(super) struct Directory {
    dir: OwnedFd,
    parent: OwnedFd,
    name: String,
}

impl Directory {
    /// Makes a directory in `parent`, and removes those that killed hosts have left there.
    pub(super) fn make(parent: &Path) -> io::Result<Self> {
        let parent = retry_on_intr(|| rustix::fs::open(parent, DIRECTORY, Mode::empty()))?;
        remove_abandoned(&parent);
        let mut number = 0;
        loop {
            let name = format!("{PREFIX}{}-{number}", std::process::id());
            match make(&parent, &name) {
                // Of another launcher, or of a host with the same pid in another pid namespace.
                Err(Errno::EXIST) => {
                    number += 1;
                    continue;
                }
                made => made?,
            }
            let dir = retry_on_intr(|| openat(&parent, &*name, DIRECTORY, Mode::empty()))?;
            retry_on_intr(|| flock(&dir, FlockOperation::LockExclusive))?;
            // Another host may have removed it before it was locked.
            let is_linked = statat(&parent, &*name, AtFlags::empty())
                .is_ok_and(|stat| fstat(&dir).is_ok_and(|own| own.st_ino == stat.st_ino));
            if is_linked {
                return Ok(Self { dir, parent, name });
            }
        }
    }

    /// Returns the directory's name.
    #[cfg(test)]
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Makes a cgroup.
    pub(super) fn add(&self, cgroup: &str) -> io::Result<()> {
        Ok(make(&self.dir, cgroup)?)
    }

    /// Removes a cgroup; `EBUSY` as long as a process is in it.
    pub(super) fn remove(&self, cgroup: &str) -> io::Result<()> {
        match retry_on_intr(|| unlinkat(&self.dir, cgroup, AtFlags::REMOVEDIR)) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Opens a cgroup, or a file of it.
    pub(super) fn open(&self, path: &str, flags: OFlags) -> io::Result<OwnedFd> {
        let flags = flags | OFlags::CLOEXEC;
        let opened = retry_on_intr(|| openat(&self.dir, path, flags, Mode::empty()));
        Ok(opened?)
    }

    /// Writes a file of a cgroup.
    pub(super) fn write(&self, path: &str, value: &str) -> io::Result<()> {
        let file = self.open(path, OFlags::WRONLY)?;
        // The kernel gives up a change of a memory limit for a signal.
        retry_on_intr(|| write(&file, value.as_bytes()))?;
        Ok(())
    }

    /// Reads a file of a cgroup that holds one number.
    pub(super) fn number(&self, path: &str) -> io::Result<u64> {
        number(&self.open(path, OFlags::RDONLY)?)
    }

    /// Reads the number after `key` in a file of a cgroup.
    pub(super) fn entry(&self, path: &str, key: &str) -> io::Result<u64> {
        entry(&self.open(path, OFlags::RDONLY)?, key)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if let Err(error) = unlinkat(&self.parent, &*self.name, AtFlags::REMOVEDIR) {
            // The next host removes it.
            tracing::debug!(name = self.name, %error, "a cgroup directory is left");
        }
    }
}

fn make(parent: &OwnedFd, name: &str) -> rustix::io::Result<()> {
    retry_on_intr(|| mkdirat(parent, name, Mode::from_raw_mode(0o755)))
}

/// Reads a file that holds one number.
pub(super) fn number(file: &OwnedFd) -> io::Result<u64> {
    with_text(file, |text| text.trim().parse().ok())
}

/// Reads the number after `key` from a file with one key and number a line.
pub(super) fn entry(file: &OwnedFd, key: &str) -> io::Result<u64> {
    with_text(file, |text| {
        let mut lines = text.lines().filter_map(|line| line.split_once(' '));
        let (_, number) = lines.find(|(name, _)| *name == key)?;
        number.trim().parse().ok()
    })
}

fn with_text(file: &OwnedFd, parse: impl FnOnce(&str) -> Option<u64>) -> io::Result<u64> {
    // All files that are read here are short, and what is looked for is at their beginning.
    let mut buffer = [0; 1024];
    let count = retry_on_intr(|| pread(file, &mut buffer, 0))?;
    let text = std::str::from_utf8(buffer.get(..count).unwrap_or(&[]));
    let number = text.ok().and_then(parse);
    number.ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// Removes the directories in `parent` whose hosts have ended without removing them.
fn remove_abandoned(parent: &OwnedFd) {
    for name in subdirectories(parent) {
        if !name.as_bytes().starts_with(PREFIX.as_bytes()) {
            continue;
        }
        let Ok(dir) = openat(parent, &*name, DIRECTORY, Mode::empty()) else {
            continue;
        };
        if flock(&dir, FlockOperation::NonBlockingLockExclusive).is_err() {
            continue;
        }
        // Only what is empty: the processes of a killed host end by themselves.
        for cgroup in subdirectories(&dir) {
            let _ = unlinkat(&dir, &*cgroup, AtFlags::REMOVEDIR);
        }
        let _ = unlinkat(parent, &*name, AtFlags::REMOVEDIR);
    }
}

fn subdirectories(dir: &OwnedFd) -> Vec<std::ffi::OsString> {
    let entries = Dir::read_from(dir).into_iter().flatten().flatten();
    let directories = entries.filter(|entry| entry.file_type() == rustix::fs::FileType::Directory);
    let names = directories
        .map(|entry| std::ffi::OsStr::from_bytes(entry.file_name().to_bytes()).to_owned());
    names.filter(|name| name != "." && name != "..").collect()
}

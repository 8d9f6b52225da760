//! The host's directory, in which those of its guests lie.

use std::env;
use std::fs::{Permissions, read_dir, set_permissions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use parking_lot::Mutex;
use rustix::fs::{FlockOperation, Mode, OFlags, flock, open};
use rustix::io::Errno;

use super::name::random_name;
use super::removal::remove;

/// The names of these directories begin so.
const PREFIX: &str = "capspawn-tmp-";

/// Where to look for a place, after the host's own choice.
const PLACES: [&str; 3] = ["/tmp", "/var/tmp", "/dev/shm"];

/// A directory of this host. A lock on it shows other hosts that its host lives; dropping it
/// removes it.
#[derive(Debug)]
pub(super) struct Base {
    pub(super) path: PathBuf,
    lock: OwnedFd,
    /// Threads that remove directories of guests.
    removals: Mutex<Vec<JoinHandle<()>>>,
}

impl Base {
    /// Makes a directory in the first place that allows it, which all users can search if
    /// `others` are to enter it. Removes those that killed hosts have left there.
    ///
    /// # Errors
    ///
    /// The error at the last place that was tried.
    pub(super) fn find(others: bool) -> io::Result<Self> {
        let places = PLACES.iter().map(PathBuf::from);
        let mut error = io::Error::from(Errno::NOENT);
        for place in [env::temp_dir()].into_iter().chain(places) {
            let Ok(place) = place.canonicalize() else {
                continue;
            };
            if others && !all_can_search(&place) {
                continue;
            }
            match Self::make(&place, others) {
                Ok(base) => return Ok(base),
                Err(source) => error = source,
            }
        }
        Err(error)
    }

    /// Makes a directory in `place`.
    pub(super) fn make(place: &Path, others: bool) -> io::Result<Self> {
        remove_abandoned(place);
        loop {
            let path = place.join(format!("{PREFIX}{}", random_name()?));
            std::fs::DirBuilder::new().mode(0o700).create(&path)?;
            let lock = open_directory(&path)?;
            match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) if is_directory(&path) => {}
                // Another host has found it before it was locked, and removes it.
                Ok(()) | Err(Errno::AGAIN) => continue,
                Err(errno) => return Err(errno.into()),
            }
            // Children can enter the directory, and not list it: the names in it are random.
            let mode = if others { 0o711 } else { 0o700 };
            set_permissions(&path, Permissions::from_mode(mode))?;
            return Ok(Self {
                path,
                lock,
                removals: Mutex::default(),
            });
        }
    }

    pub(super) fn exists(&self) -> bool {
        is_directory(&self.path)
    }

    /// Removes a guest's directory, by a thread of its own if it is not empty: the caller has no
    /// time.
    pub(super) fn remove(&self, path: PathBuf) {
        if std::fs::remove_dir(&path).is_ok() {
            return;
        }
        let name = String::from("capspawn-tmp");
        let started = std::thread::Builder::new()
            .name(name)
            .spawn(move || remove(&path));
        // If there is no thread, the directory is removed with this one.
        if let Ok(thread) = started {
            let mut removals = self.removals.lock();
            removals.retain(|thread| !thread.is_finished());
            removals.push(thread);
        }
    }
}

impl Drop for Base {
    fn drop(&mut self) {
        for thread in self.removals.get_mut().drain(..) {
            let _ = thread.join();
        }
        remove(&self.path);
        // The lock is held until here.
        let _ = &self.lock;
    }
}

/// Returns whether `path` is a directory, and no symbolic link to one.
pub(super) fn is_directory(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|found| found.is_dir())
}

/// Removes the directories of hosts that live no more. Only its own user's: another user's hosts
/// remove theirs.
fn remove_abandoned(place: &Path) {
    let own = rustix::process::geteuid().as_raw();
    let Ok(entries) = read_dir(place) else { return };
    for entry in entries.flatten() {
        let is_ours = |entry: &std::fs::DirEntry| {
            let found = entry.path().symlink_metadata();
            found.is_ok_and(|found| found.is_dir() && found.uid() == own)
        };
        let name = entry.file_name();
        if !name.as_encoded_bytes().starts_with(PREFIX.as_bytes()) || !is_ours(&entry) {
            continue;
        }
        let Ok(lock) = open_directory(&entry.path()) else {
            continue;
        };
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok() {
            remove(&entry.path());
        }
    }
}

fn open_directory(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(open(path, flags, Mode::empty())?)
}

/// Returns whether every user can search `place`, and nobody can replace what another user has
/// made there.
pub(super) fn all_can_search(place: &Path) -> bool {
    const STICKY: u32 = 0o1000;
    let mut above = place.ancestors();
    let is_sound = |folder: &Path| {
        let Ok(found) = folder.symlink_metadata() else {
            return false;
        };
        let mode = found.mode();
        mode & 0o001 != 0 && (mode & 0o022 == 0 || mode & STICKY != 0)
    };
    above.all(is_sound)
}

//! The file behind a command: opened when the grant loads, compared when a child
//! is started.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Mode, OFlags, open};
use sha2::{Digest, Sha256};

use crate::error::SpawnError;
use crate::launch::Program;

/// What tells one state of a file from another without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    dev: u64,
    ino: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    pub(super) fn of(metadata: &Metadata) -> Self {
        Self {
            dev: metadata.dev(),
            ino: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    fn is_same_file(&self, other: &Self) -> bool {
        (self.dev, self.ino) == (other.dev, other.ino)
    }
}

/// An open program and what must stay true of it.
#[derive(Debug, Clone)]
pub(super) struct Executable {
    program: Arc<Program>,
    stamp: Stamp,
    pin: Option<[u8; 32]>,
}

impl Executable {
    /// Opens a program and checks it against its pin.
    ///
    /// # Errors
    ///
    /// What is wrong with the file, as a sentence fragment.
    pub(super) fn open(path: &Path, pin: Option<[u8; 32]>) -> Result<Self, String> {
        let say = |error: io::Error| format!("{}: {error}", path.display());
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let file = File::from(open(path, flags, Mode::empty()).map_err(|errno| say(errno.into()))?);
        let metadata = file.metadata().map_err(say)?;
        if !metadata.is_file() {
            return Err(format!("{} is no regular file", path.display()));
        }
        if metadata.mode() & 0o111 == 0 {
            return Err(format!("{} is not executable", path.display()));
        }
        let stamp = Stamp::of(&metadata);
        if let Some(pin) = pin {
            check_pin(path, stamp, pin)?;
        }
        let program = Arc::new(Program { path: path.to_owned(), file });
        Ok(Self { program, stamp, pin })
    }

    /// Returns the program to execute: the open one, or the one that its path
    /// names by now if that passes the same checks.
    pub(super) fn current(&self) -> Result<Arc<Program>, SpawnError> {
        let path = &self.program.path;
        let now = fs::metadata(path).map(|metadata| Stamp::of(&metadata));
        match now {
            // An unpinned file may be written in place; a pin covers the content.
            Ok(now) if now == self.stamp => Ok(self.program.clone()),
            Ok(now) if self.pin.is_none() && now.is_same_file(&self.stamp) => {
                Ok(self.program.clone())
            }
            _ => match Self::open(path, self.pin) {
                Ok(renewed) => Ok(renewed.program),
                Err(_) => Err(SpawnError::NotExecutable),
            },
        }
    }

    pub(super) fn path(&self) -> &PathBuf {
        &self.program.path
    }

    /// Says whether two keys name the same file.
    pub(super) fn is_same_file(&self, other: &Self) -> bool {
        self.stamp.is_same_file(&other.stamp)
    }
}

/// Hashes the file at `path`, which must be the one that `stamp` was taken of.
pub(super) fn check_pin(path: &Path, stamp: Stamp, pin: [u8; 32]) -> Result<(), String> {
    let say = |error: io::Error| format!("{}: cannot be read to check its pin: {error}", path.display());
    let mut file = File::open(path).map_err(say)?;
    let mut hash = Sha256::new();
    io::copy(&mut file, &mut hash).map_err(say)?;
    if Stamp::of(&file.metadata().map_err(say)?) != stamp {
        return Err(format!("{} changed while it was read", path.display()));
    }
    let found: [u8; 32] = hash.finalize().into();
    if found == pin {
        return Ok(());
    }
    let hex: String = found.iter().map(|byte| format!("{byte:02x}")).collect();
    Err(format!("{} has another sha256: {hex}", path.display()))
}

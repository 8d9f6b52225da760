//! Detects that a file was replaced or written, without reading it.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;

/// Which file it is (device and inode), and the metadata that a write changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    dev: u64,
    ino: u64,
    size: u64,
    modified: (i64, i64),
    /// No system call can set this time back.
    changed: (i64, i64),
}

impl Stamp {
    /// Returns the stamp of a file with this metadata.
    pub(crate) fn of(metadata: &Metadata) -> Self {
        Self {
            dev: metadata.dev(),
            ino: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// Returns whether both stamps are of the same file, written since or not.
    pub(crate) fn is_same_file(&self, other: &Self) -> bool {
        (self.dev, self.ino) == (other.dev, other.ino)
    }

    /// Returns the stamp as bytes, to be hashed.
    pub(crate) fn bytes(&self) -> [u8; 56] {
        let numbers = [
            self.dev,
            self.ino,
            self.size,
            self.modified.0.cast_unsigned(),
            self.modified.1.cast_unsigned(),
            self.changed.0.cast_unsigned(),
            self.changed.1.cast_unsigned(),
        ];
        let mut bytes = [0; 56];
        for (part, number) in bytes.chunks_exact_mut(8).zip(numbers) {
            part.copy_from_slice(&number.to_le_bytes());
        }
        bytes
    }
}

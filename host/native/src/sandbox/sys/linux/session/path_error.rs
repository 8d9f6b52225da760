//! An I/O error that names the path that caused it.

use std::io;

/// An error about one path, which its text names. It keeps the system's error as its
/// source, by which a shortage of descriptors is recognized.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub(super) struct PathError {
    pub(super) text: String,
    pub(super) source: io::Error,
}

impl From<PathError> for io::Error {
    fn from(error: PathError) -> Self {
        Self::new(error.source.kind(), error)
    }
}

//! Paths for the kernel, and an I/O error that names the path that caused it.

use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

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

/// Returns the path as the kernel takes it.
pub(super) fn c_string(path: &Path) -> io::Result<CString> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| {
        let text = format!("{}: the path contains a NUL byte", path.display());
        io::Error::new(io::ErrorKind::InvalidInput, text)
    })
}

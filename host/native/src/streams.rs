//! Where a child's standard streams lead.

mod passed;

use std::fmt;

use bytes::Bytes;

pub(crate) use passed::{PassedEnd, TakenEnd};
pub use passed::{PassedReader, PassedWriter};

/// Where a child's standard input comes from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Stdin {
    /// End of file at once.
    #[default]
    Null,
    /// A pipe whose writing end the caller takes.
    Piped,
    /// These bytes, then end of file. They are shared, never copied.
    Bytes(Bytes),
    /// What another child of the same guest writes.
    Child(PassedReader),
    /// The file at this path, from its beginning: below a root that the child may read. A
    /// relative path is relative to the working directory.
    File(String),
}

impl Stdin {
    /// Returns how many bytes the request itself carries.
    pub fn len(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Null | Self::Piped | Self::Child(_) | Self::File(_) => 0,
        }
    }

    /// Returns whether the request carries no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Where a child's standard output or standard error goes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Stdio {
    /// Discarded.
    Null,
    /// A pipe whose reading end the caller takes.
    Piped,
    /// Kept by the registry up to the grant's cap.
    #[default]
    Captured,
    /// The same place as the other of the two, in one order. Not for both.
    Merged,
    /// The standard input of another child of the same guest.
    Child(PassedWriter),
    /// The file at this path, which is created if it does not exist: below a root that the child
    /// may write. A relative path is relative to the working directory.
    File {
        /// The path.
        path: String,
        /// What happens to the contents of the file.
        mode: FileMode,
    },
}

/// What happens to the contents of a file that a child writes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FileMode {
    /// They are discarded (`O_TRUNC`).
    Truncate,
    /// Each write adds to their end (`O_APPEND`).
    Append,
}

impl fmt::Display for FileMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Truncate => "truncate",
            Self::Append => "append",
        })
    }
}

/// The three standard streams of a child.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Streams {
    /// Standard input; nothing by default.
    pub stdin: Stdin,
    /// Standard output; captured by default.
    pub stdout: Stdio,
    /// Standard error; captured by default.
    pub stderr: Stdio,
}

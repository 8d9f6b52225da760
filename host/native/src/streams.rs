//! Where a child's standard streams lead.

use bytes::Bytes;

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
}

impl Stdin {
    /// Returns how many bytes the request itself carries.
    pub fn len(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Null | Self::Piped => 0,
        }
    }

    /// Returns whether the request carries no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Where a child's standard output or standard error goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Stdio {
    /// Discarded.
    Null,
    /// A pipe whose reading end the caller takes.
    Piped,
    /// Kept by the registry up to the grant's cap.
    #[default]
    Captured,
    /// Standard error only: the same place as standard output.
    Merged,
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

//! Files that a decided request names for its standard streams.

use std::path::{Path, PathBuf};

use super::identity::Identity;
use crate::confinement::FsRoot;
use crate::streams::FileMode;

/// What a child does with the file of a standard stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FileAccess {
    /// It reads the file from its beginning.
    Read,
    /// It writes.
    Write(FileMode),
}

/// A file for a standard stream, decided and not open yet.
///
/// It is opened just before the launch, below the root, with the rights of the children's user.
/// Opening it at the decision would truncate a file for a request that a veto or a quota refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamFile {
    /// The root of the grant that the path leads below.
    pub root: FsRoot,
    /// The path from the root on; empty if the root is the file.
    pub below: PathBuf,
    /// What the child does with the file.
    pub access: FileAccess,
    /// The user that children run as.
    pub identity: Identity,
}

impl StreamFile {
    /// Returns the absolute path, for messages.
    pub fn path(&self) -> PathBuf {
        if self.below == Path::new("") {
            return self.root.written.clone();
        }
        self.root.written.join(&self.below)
    }
}

/// The files of the three standard streams; none for a stream that leads elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StreamFiles {
    /// Of standard input.
    pub stdin: Option<StreamFile>,
    /// Of standard output.
    pub stdout: Option<StreamFile>,
    /// Of standard error.
    pub stderr: Option<StreamFile>,
}

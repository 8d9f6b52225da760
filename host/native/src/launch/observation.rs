//! What a child was seen to use, and what of that its confinement refused.
//!
//! A report for people, made by a launcher that observes its children. It decides nothing: what it
//! shows of a path was read from memory that the child can change meanwhile.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

/// What a launcher records of its children.
///
/// An observed child waits for the host at every call with a path, which takes about 10 µs each; see
/// [`NativeLauncherBuilder::observer`](crate::sandbox::NativeLauncherBuilder::observer).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Observer {
    /// What was refused to them.
    Refusals,
    /// That, and all that they used.
    Everything,
}

/// One thing that a child used or tried to use, recorded once however often it did.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Observation {
    /// What it was.
    #[serde(flatten)]
    pub subject: Subject,
    /// What came of it, as far as the confinement decides that.
    pub outcome: Outcome,
}

/// What a child used.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(tag = "subject", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Subject {
    /// A file or directory.
    File {
        /// Its absolute path, as the child named it, without `.` and `..`.
        path: PathBuf,
        /// Where that leads on the host, with symbolic links followed.
        real: PathBuf,
        /// How it was used.
        access: Access,
    },
    /// A socket, or an address to which one was connected.
    Connection {
        /// `192.0.2.1:443`, `unix:/run/x.sock`, or the family of a socket that was not connected yet.
        address: String,
    },
    /// A system call.
    Call {
        /// Its name.
        name: String,
    },
    /// A resource limit; permitted, how much of it was used.
    Limit {
        /// The grant's key, such as `limits.file-size`.
        key: &'static str,
        /// The limit, as a grant writes it.
        value: String,
    },
}

/// How a file was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Access {
    /// Its attributes were read, or its existence: `stat`, `access`, `readlink`, `chdir`.
    Look,
    /// It was opened to be read, or a directory to be listed.
    Read,
    /// It was executed.
    Execute,
    /// It exists, and was opened to be written, or its attributes were changed.
    Write,
    /// It was created, if it did not exist.
    Create,
    /// It was removed or renamed.
    Remove,
}

impl Access {
    /// Returns the verb for a message.
    pub const fn verb(self) -> &'static str {
        match self {
            Self::Look => "look at",
            Self::Read => "read",
            Self::Execute => "execute",
            Self::Write => "write",
            Self::Create => "create",
            Self::Remove => "remove",
        }
    }

    /// Returns whether it needs a write root.
    pub const fn changes(self) -> bool {
        matches!(self, Self::Write | Self::Create | Self::Remove)
    }
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.verb())
    }
}

/// What the confinement made of a use. A permitted call may still fail for another reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The confinement permits it.
    Permitted,
    /// It is the child's own: in its private `/tmp`, `/dev` or `/proc`.
    Private,
    /// The host has no such file, so that the confinement makes no difference.
    Absent,
    /// The confinement refused it.
    Refused,
    /// `fs.deny` hides it.
    Hidden,
}

impl Outcome {
    /// Returns whether the confinement stood in the way.
    pub const fn is_refusal(self) -> bool {
        matches!(self, Self::Refused | Self::Hidden)
    }
}

//! Why a launch failed.

use std::{fmt, io};

use rustix::io::Errno;

use crate::shortage::Shortage;

/// The step at which a launch failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stage {
    /// Making the key of a detached child.
    Key,
    /// Making the pipes of the standard streams.
    Pipe,
    /// Opening a file for a standard stream.
    OpenFile,
    /// Opening the program.
    OpenProgram,
    /// Creating the process.
    Spawn,
    /// Resetting the signals.
    Signals,
    /// Making the child the leader of a session of its own (`setsid`).
    Setsid,
    /// Announcing the child to the process that would end it if the host died.
    Announce,
    /// Making the child's cgroup, or entering it.
    Cgroup,
    /// Putting the standard streams in place.
    Stdio,
    /// Closing the host's descriptors.
    Descriptors,
    /// Entering the working directory.
    WorkingDirectory,
    /// Setting the limits.
    Limits,
    /// Becoming the unprivileged user.
    Identity,
    /// Giving up privileges.
    Privileges,
    /// Confining the file system (Landlock).
    Ruleset,
    /// Confining the system calls (seccomp).
    Filter,
    /// Executing the program.
    Exec,
    /// Making the session's namespaces.
    Namespaces,
    /// Making the session's root directory.
    Root,
    /// Sending the request to the session; it has ended where the error is a broken pipe.
    /// Nothing was started.
    Request,
    /// Waiting for the reply to the request. The program may have run, so that the request must
    /// not be sent again by itself.
    Reply,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Key => "making a key",
            Self::Pipe => "making the pipes",
            Self::OpenFile => "opening a file for a standard stream",
            Self::OpenProgram => "opening the program",
            Self::Spawn => "creating the process",
            Self::Signals => "resetting the signals",
            Self::Setsid => "making the child a session leader",
            Self::Announce => "announcing the child",
            Self::Cgroup => "entering the child's cgroup",
            Self::Stdio => "putting the standard streams in place",
            Self::Descriptors => "closing the host's descriptors",
            Self::WorkingDirectory => "entering the working directory",
            Self::Limits => "setting the limits",
            Self::Identity => "becoming the unprivileged user",
            Self::Privileges => "giving up privileges",
            Self::Ruleset => "confining the file system",
            Self::Filter => "confining the system calls",
            Self::Exec => "executing the program",
            Self::Namespaces => "making the namespaces",
            Self::Root => "making the root directory",
            Self::Request => "sending the request to the session",
            Self::Reply => "waiting for the session to start the program",
        })
    }
}

/// The source of a launch that failed because this system has no launcher.
#[derive(Debug, thiserror::Error)]
#[error("this system has no launcher")]
pub(crate) struct NoLauncher;

/// A launch that failed: the step, and the system's error.
#[derive(Debug, thiserror::Error)]
#[error("failed while {stage}: {source}")]
pub struct LaunchError {
    /// The step that failed.
    pub stage: Stage,
    /// The system's error.
    #[source]
    pub source: io::Error,
}

impl LaunchError {
    /// Returns the failure of `stage` with the system's `source`.
    pub fn new(stage: Stage, source: io::Error) -> Self {
        Self { stage, source }
    }

    /// Returns what the host was short of, where a later attempt may succeed; none for other
    /// failures, and where the program may have run.
    pub fn shortage(&self) -> Option<Shortage> {
        match (self.stage, errno_within(&self.source)) {
            (Stage::Reply, _) => None,
            // Also where the limit is 0, which the probe of the host tells apart.
            (Stage::Namespaces, Some(Errno::NOSPC | Errno::USERS)) => Some(Shortage::Namespaces),
            // Twice in a row, or a server that was killed while it started.
            (Stage::Request, _) if self.source.kind() == io::ErrorKind::BrokenPipe => {
                Some(Shortage::Killed)
            }
            _ => Shortage::within(&self.source),
        }
    }
}

/// Returns the system's error, even where a library has wrapped it.
pub(crate) fn errno_within(error: &io::Error) -> Option<Errno> {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        cause = match error.downcast_ref::<io::Error>() {
            Some(error) => match Errno::from_io_error(error) {
                None => error.get_ref().map(|inner| inner as _),
                errno => return errno,
            },
            None => error.source(),
        };
    }
    None
}

/// Returns whether the host was short of something: a later attempt may succeed.
pub(crate) fn is_shortage(error: &io::Error) -> bool {
    Shortage::within(error).is_some()
}

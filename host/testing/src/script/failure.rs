//! How a launch fails.

use std::io;

use capspawn_native::launch::{LaunchError, Stage};
use rustix::io::Errno;

/// How the launch of a scripted child fails. The guest receives the error that it would receive from the native launcher.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Failure {
    /// The program is gone: `ENOENT` at the execution.
    NotFound,
    /// The program cannot be executed here: `ENOEXEC` at the execution.
    NotExecutable,
    /// The working directory is gone.
    WorkingDirectoryNotFound,
    /// Arguments and environment are too large: `E2BIG` at the execution.
    TooBig,
    /// The host has no descriptor left: `EMFILE` when the pipes are made.
    NoDescriptors,
    /// The host has no process left: `EAGAIN` when the process is created.
    NoProcesses,
    /// The host has no memory left: `ENOMEM` when the process is created.
    NoMemory,
    /// Any other stage of a launch, with the number of the system's error.
    At {
        /// The stage that fails.
        stage: Stage,
        /// The error, as in `errno(3)`.
        errno: i32,
    },
}

impl Failure {
    /// Returns the error of the launch.
    pub(crate) fn error(self) -> LaunchError {
        let (stage, errno) = match self {
            Self::NotFound => (Stage::Exec, Errno::NOENT),
            Self::NotExecutable => (Stage::Exec, Errno::NOEXEC),
            Self::WorkingDirectoryNotFound => (Stage::WorkingDirectory, Errno::NOENT),
            Self::TooBig => (Stage::Exec, Errno::TOOBIG),
            Self::NoDescriptors => (Stage::Pipe, Errno::MFILE),
            Self::NoProcesses => (Stage::Spawn, Errno::AGAIN),
            Self::NoMemory => (Stage::Spawn, Errno::NOMEM),
            Self::At { stage, errno } => (stage, Errno::from_raw_os_error(errno)),
        };
        LaunchError::new(stage, io::Error::from(errno))
    }
}

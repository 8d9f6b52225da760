//! Why a child was not started: one part for the guest, the rest for the operator.

use std::fmt;
use std::io;

use crate::confinement::Enforcement;
use crate::launch::{LaunchError, NoLauncher, Stage, errno_within};
use crate::shortage::Shortage;

/// The part of a request that the grant refuses. A guest learns nothing else about
/// a denial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeniedItem {
    /// The program is not granted.
    Program,
    /// The arguments match no pattern.
    Argument,
    /// A variable is not granted.
    Environment,
    /// The working directory lies outside the roots.
    WorkingDirectory,
    /// A standard stream is not allowed: piped standard input, or a file.
    Stdio,
    /// Detaching is not allowed.
    Detach,
}

impl fmt::Display for DeniedItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Program => "program",
            Self::Argument => "argument",
            Self::Environment => "environment",
            Self::WorkingDirectory => "working directory",
            Self::Stdio => "stdio",
            Self::Detach => "detach",
        })
    }
}

/// Who refuses a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DeniedBy {
    /// The grant.
    #[default]
    Grant,
    /// The embedder's approver, or the lack of one.
    Approver,
    /// The embedder's veto.
    Veto,
}

impl DeniedBy {
    /// Returns the word that events use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Grant => "grant",
            Self::Approver => "approver",
            Self::Veto => "veto",
        }
    }
}

/// A refusal, complete, for the operator.
///
/// The guest receives [`Denial::item`] only: the rest would describe the policy to
/// the component that it restricts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// Who refuses.
    pub by: DeniedBy,
    /// What was refused.
    pub item: DeniedItem,
    /// Why, as a sentence fragment.
    pub reason: String,
    /// The command whose rule came nearest.
    pub nearest: Option<String>,
    /// The line of the grant file that would allow it.
    pub would_allow: Option<String>,
}

impl Denial {
    /// Returns a denial by the grant, without a nearest rule and without a line that would allow it.
    pub fn new(item: DeniedItem, reason: impl Into<String>) -> Self {
        Self {
            by: DeniedBy::Grant,
            item,
            reason: reason.into(),
            nearest: None,
            would_allow: None,
        }
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} refused: {}", self.item, self.reason)?;
        if let Some(nearest) = &self.nearest {
            write!(f, "; nearest rule: {nearest}")?;
        }
        if let Some(line) = &self.would_allow {
            write!(f, "; the grant would allow it with: {line}")?;
        }
        Ok(())
    }
}

/// The quota that a request would exceed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quota {
    /// Children of the owner that run at the same time.
    LiveChildren,
    /// Children of the guest in all.
    TotalChildren,
    /// Requests of the owner in a period.
    SpawnRate,
    /// Memory that the host holds for the owner: captured output, arguments, standard input.
    HeldMemory,
    /// Descriptors that the host holds for the owner: the pipes of its children, and streams
    /// that it has not closed.
    HeldDescriptors,
    /// What the host as a whole can hold: entries, memory, descriptors, processes.
    HostCapacity,
}

impl Quota {
    /// Returns where the operator sets the limit.
    pub fn setting(self) -> &'static str {
        match self {
            Self::LiveChildren => "grant: max-live",
            Self::TotalChildren => "grant: max-total",
            Self::SpawnRate => "grant: rate",
            Self::HeldMemory => "grant: max-held-memory",
            Self::HeldDescriptors => "grant: max-held-descriptors",
            Self::HostCapacity => {
                "host: max_entries, max_held_bytes, max_held_descriptors, or what the machine has"
            }
        }
    }
}

impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LiveChildren => "live children",
            Self::TotalChildren => "total children",
            Self::SpawnRate => "spawn rate",
            Self::HeldMemory => "held memory",
            Self::HeldDescriptors => "held descriptors",
            Self::HostCapacity => "host capacity",
        })
    }
}

/// Why a child was not started, attached or detached. In every case nothing was
/// started, no slot and no quota is held, and a running child is unchanged.
///
/// Exhaustive on purpose: a host that translates it for guests must name each case.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// The grant refuses it. POSIX: `EACCES`, `EPERM`.
    #[error("{0}")]
    Denied(Box<Denial>),
    /// A cap is reached. POSIX: `EAGAIN`.
    #[error("quota exceeded: {0}")]
    Quota(Quota),
    /// The program does not exist, or no child of this owner has the key. POSIX: `ENOENT`.
    #[error("no such program or child")]
    NoEntry,
    /// The program cannot be executed here. POSIX: `ENOEXEC`, `EACCES`.
    #[error("not executable here")]
    NotExecutable,
    /// The working directory does not exist or is not a directory. POSIX: `ENOENT`,
    /// `ENOTDIR`.
    #[error("no such working directory")]
    WorkingDirectoryNotFound,
    /// A request that no grant can allow. POSIX: `EINVAL`.
    #[error("invalid request: {0}")]
    InvalidArgument(&'static str),
    /// Another child has received the end of a pipe that the request names.
    #[error("the pipe was passed to another child")]
    InvalidState,
    /// Arguments and environment are too large. POSIX: `E2BIG`.
    #[error("arguments and environment are too large")]
    TooBig,
    /// The paths of the request take more than
    /// [`MAX_LOOKUPS`](crate::limits::MAX_LOOKUPS) look-ups. POSIX: `E2BIG`.
    #[error(
        "the paths of the request take more than {} look-ups: request fewer paths at once",
        crate::limits::MAX_LOOKUPS
    )]
    TooManyLookups,
    /// The host lacks something at the moment, and a later request may succeed. POSIX: `EAGAIN`.
    #[error("{0}")]
    Shortage(Shortage),
    /// The grant demands a confinement that this host does not enforce.
    #[error("the sandbox that the grant requires is unavailable on this host: {}", .0.unmet())]
    SandboxUnavailable(Box<Enforcement>),
    /// This system has no launcher. POSIX: `ENOSYS`.
    #[error("this system has no sandbox: capspawn starts children on Linux on x86_64 only")]
    Unsupported,
    /// The registry has been shut down.
    #[error("the registry is shut down")]
    Shutdown,
    /// Any other failure of the launch.
    #[error(transparent)]
    Launch(LaunchError),
}

impl From<Denial> for SpawnError {
    fn from(denial: Denial) -> Self {
        Self::Denied(Box::new(denial))
    }
}

impl From<LaunchError> for SpawnError {
    fn from(error: LaunchError) -> Self {
        use rustix::io::Errno;

        if let Some(shortage) = error.shortage() {
            return Self::Shortage(shortage);
        }
        let errno = errno_within(&error.source);
        match (error.stage, errno) {
            (_, Some(Errno::TOOBIG)) => Self::TooBig,
            (Stage::WorkingDirectory, Some(Errno::NOENT | Errno::NOTDIR | Errno::ACCESS)) => {
                Self::WorkingDirectoryNotFound
            }
            (Stage::OpenProgram | Stage::Exec, Some(Errno::NOENT)) => Self::NoEntry,
            (
                Stage::OpenProgram | Stage::Exec,
                Some(Errno::NOEXEC | Errno::ACCESS | Errno::ISDIR | Errno::PERM | Errno::TXTBSY),
            ) => Self::NotExecutable,
            (_, None) if is_no_launcher(&error.source) => Self::Unsupported,
            _ => Self::Launch(error),
        }
    }
}

fn is_no_launcher(error: &io::Error) -> bool {
    error
        .get_ref()
        .is_some_and(|inner| inner.is::<NoLauncher>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(stage: Stage, errno: rustix::io::Errno) -> SpawnError {
        LaunchError::new(stage, errno.into()).into()
    }

    #[test]
    fn errors_cross_threads() {
        fn check<T: Send + Sync + 'static>() {}
        check::<SpawnError>();
        check::<LaunchError>();
    }

    #[test]
    fn the_same_errno_means_another_thing_at_another_stage() {
        use rustix::io::Errno;
        assert!(matches!(
            failed(Stage::Exec, Errno::NOENT),
            SpawnError::NoEntry
        ));
        assert!(matches!(
            failed(Stage::WorkingDirectory, Errno::NOENT),
            SpawnError::WorkingDirectoryNotFound
        ));
        assert!(matches!(
            failed(Stage::Pipe, Errno::MFILE),
            SpawnError::Shortage(Shortage::Descriptors)
        ));
        assert!(matches!(
            failed(Stage::Exec, Errno::NOEXEC),
            SpawnError::NotExecutable
        ));
        assert!(matches!(
            failed(Stage::Spawn, Errno::NOSYS),
            SpawnError::Launch(_)
        ));
    }

    #[test]
    fn a_shortage_is_one_at_every_stage_but_after_the_request_was_sent() {
        use rustix::io::Errno;
        for (errno, shortage) in [
            (Errno::MFILE, Shortage::Descriptors),
            (Errno::NFILE, Shortage::MachineDescriptors),
            (Errno::TOOMANYREFS, Shortage::DescriptorsInFlight),
            (Errno::AGAIN, Shortage::Processes),
            (Errno::NOMEM, Shortage::Memory),
        ] {
            for stage in [Stage::Pipe, Stage::Spawn, Stage::Root, Stage::Request] {
                let error = failed(stage, errno);
                assert!(
                    matches!(error, SpawnError::Shortage(found) if found == shortage),
                    "{stage}: {errno}: {error}"
                );
            }
            let error = failed(Stage::Reply, errno);
            assert!(matches!(error, SpawnError::Launch(_)), "{errno}: {error}");
        }
        assert!(matches!(
            failed(Stage::Namespaces, Errno::NOSPC),
            SpawnError::Shortage(Shortage::Namespaces)
        ));
        assert!(matches!(
            failed(Stage::Root, Errno::NOSPC),
            SpawnError::Launch(_)
        ));
    }

    #[test]
    fn a_system_without_a_launcher_is_no_failed_launch() {
        let missing = LaunchError::new(Stage::Spawn, io::Error::other(NoLauncher));
        assert!(matches!(missing.into(), SpawnError::Unsupported));
        let other = LaunchError::new(Stage::Spawn, io::ErrorKind::Unsupported.into());
        assert!(matches!(other.into(), SpawnError::Launch(_)));
    }

    #[test]
    fn an_errno_counts_also_where_a_library_has_wrapped_it() {
        let wrapped = |errno: rustix::io::Errno| {
            let wrapped = io::Error::other(io::Error::from(errno));
            SpawnError::from(LaunchError::new(Stage::Ruleset, wrapped))
        };
        assert!(matches!(
            wrapped(rustix::io::Errno::MFILE),
            SpawnError::Shortage(Shortage::Descriptors)
        ));
        assert!(matches!(
            wrapped(rustix::io::Errno::NOSYS),
            SpawnError::Launch(_)
        ));
    }
}

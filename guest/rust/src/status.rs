//! How a child ended.

use std::fmt;

use crate::bindings::capspawn::process::types;

/// How a child ended: [`std::process::ExitStatus`], and whether the host ended it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExitStatus(End);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Exited(i32),
    Signaled(i32),
    Killed(KillReason, Option<i32>),
}

/// Why the host ended a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum KillReason {
    /// The component requested it: [`Child::kill`](crate::Child::kill),
    /// [`kill_tree`](crate::Child::kill_tree) or [`signal`](crate::Child::signal).
    Requested,
    /// Its last handle was dropped.
    Released,
    /// It reached its time limit: that of [`Command::timeout`](crate::Command::timeout) or of
    /// the grant.
    Timeout,
    /// Its processes reached their limit of processor time.
    CpuTime,
    /// They reached their memory limit.
    Memory,
    /// They reached their limit of processes and threads.
    Processes,
    /// A write exceeded the limit of a file's size.
    FileSize,
    /// It reached its limit of bytes written to the standard streams.
    Output,
    /// Nobody attached to it within its lifetime as a detached child.
    Lifetime,
    /// The host shut down or failed.
    Host,
}

impl ExitStatus {
    /// Returns whether the child exited with code 0.
    #[must_use]
    pub fn success(&self) -> bool {
        self.0 == End::Exited(0)
    }

    /// Returns the exit code; none if the child did not exit by itself.
    #[must_use]
    pub fn code(&self) -> Option<i32> {
        match self.0 {
            End::Exited(code) => Some(code),
            End::Signaled(_) | End::Killed(..) => None,
        }
    }

    /// Returns the signal that ended the child, in the host's numbers; none if it exited. A
    /// child that the host ended has a signal too, unless its status was lost.
    #[must_use]
    pub fn signal(&self) -> Option<i32> {
        match self.0 {
            End::Exited(_) => None,
            End::Signaled(signal) => Some(signal),
            End::Killed(_, signal) => signal,
        }
    }

    /// Returns why the host ended the child; none if it ended in another way.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use capspawn_guest::{Command, KillReason};
    ///
    /// let status = Command::new("sleep").arg("60").timeout(Duration::from_millis(50)).status()?;
    /// assert_eq!(status.killed(), Some(KillReason::Timeout));
    /// # std::io::Result::Ok(())
    /// ```
    #[must_use]
    pub fn killed(&self) -> Option<KillReason> {
        match self.0 {
            End::Exited(_) | End::Signaled(_) => None,
            End::Killed(reason, _) => Some(reason),
        }
    }
}

impl Default for ExitStatus {
    /// Success.
    fn default() -> Self {
        Self(End::Exited(0))
    }
}

impl fmt::Display for ExitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            End::Exited(code) => write!(f, "exit status: {code}"),
            End::Signaled(signal) => write!(f, "signal: {signal}"),
            End::Killed(reason, _) => write!(f, "ended by the host: {reason}"),
        }
    }
}

impl fmt::Display for KillReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Requested => "requested",
            Self::Released => "its handle was dropped",
            Self::Timeout => "timeout",
            Self::CpuTime => "limit of processor time",
            Self::Memory => "memory limit",
            Self::Processes => "limit of processes",
            Self::FileSize => "limit of file size",
            Self::Output => "output limit",
            Self::Lifetime => "lifetime limit",
            Self::Host => "the host shut down",
        })
    }
}

impl From<types::ExitStatus> for ExitStatus {
    fn from(status: types::ExitStatus) -> Self {
        Self(match status {
            types::ExitStatus::Exited(code) => End::Exited(code),
            types::ExitStatus::Signaled(signal) => End::Signaled(signal.into()),
            types::ExitStatus::Killed(kill) => {
                End::Killed(kill.reason.into(), kill.signal.map(i32::from))
            }
        })
    }
}

impl From<types::KillReason> for KillReason {
    fn from(reason: types::KillReason) -> Self {
        match reason {
            types::KillReason::Requested => Self::Requested,
            types::KillReason::Released => Self::Released,
            types::KillReason::Timeout => Self::Timeout,
            types::KillReason::CpuTime => Self::CpuTime,
            types::KillReason::Memory => Self::Memory,
            types::KillReason::Processes => Self::Processes,
            types::KillReason::FileSize => Self::FileSize,
            types::KillReason::Output => Self::Output,
            types::KillReason::Lifetime => Self::Lifetime,
            types::KillReason::Host => Self::Host,
        }
    }
}

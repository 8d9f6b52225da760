//! How a child ended.

use std::fmt;
use std::time::SystemTime;

/// Why the host ended a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KillReason {
    /// Through `kill` or `signal`.
    Requested,
    /// Its handle was released or dropped.
    Released,
    /// The wall clock limit.
    Timeout,
    /// The processor time limit.
    CpuTime,
    /// The memory limit.
    Memory,
    /// The limit on tasks.
    Processes,
    /// The file size limit.
    FileSize,
    /// The limit on output.
    Output,
    /// The life-time of a detached child.
    Lifetime,
    /// The registry's shutdown, a failure of the host, or a change of the host's files that would
    /// have shown the child what it is denied.
    Host,
}

impl fmt::Display for KillReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Requested => "requested",
            Self::Released => "released",
            Self::Timeout => "timeout",
            Self::CpuTime => "cpu-time",
            Self::Memory => "memory",
            Self::Processes => "processes",
            Self::FileSize => "file-size",
            Self::Output => "output",
            Self::Lifetime => "lifetime",
            Self::Host => "host",
        })
    }
}

/// How a child ended. A child's status is written once and never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ExitStatus {
    /// It exited by itself with this code, even if a kill or a deadline came at the
    /// same moment.
    Exited(i32),
    /// A signal that the host did not send ended it.
    Signaled(u8),
    /// The host ended it.
    Killed(KillReason),
}

impl fmt::Display for ExitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(code) => write!(f, "exited with {code}"),
            Self::Signaled(signal) => write!(f, "ended by signal {signal}"),
            Self::Killed(reason) => write!(f, "killed: {reason}"),
        }
    }
}

/// A signal that may be sent to a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Signal {
    /// `SIGHUP`
    Hangup,
    /// `SIGINT`
    Interrupt,
    /// `SIGQUIT`
    Quit,
    /// `SIGTERM`
    Terminate,
    /// `SIGKILL`
    Kill,
    /// `SIGUSR1`
    User1,
    /// `SIGUSR2`
    User2,
    /// `SIGSTOP`
    Stop,
    /// `SIGCONT`
    Continue,
    /// `SIGWINCH`
    WindowChange,
    /// `SIGALRM`
    Alarm,
    /// `SIGPIPE`
    BrokenPipe,
}

impl Signal {
    /// Returns the number, as in `signal(7)`.
    pub const fn number(self) -> u8 {
        match self {
            Self::Hangup => 1,
            Self::Interrupt => 2,
            Self::Quit => 3,
            Self::Kill => 9,
            Self::User1 => 10,
            Self::User2 => 12,
            Self::BrokenPipe => 13,
            Self::Alarm => 14,
            Self::Terminate => 15,
            Self::Continue => 18,
            Self::Stop => 19,
            Self::WindowChange => 28,
        }
    }
}

/// What remains of an ended child whose entry made room for others before its end
/// was observed: how and when it ended, without its output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The child's number, unique in its registry.
    pub id: u64,
    /// The command's name in the grant.
    pub program: String,
    /// How it ended.
    pub status: ExitStatus,
    /// When it was started.
    pub started_at: SystemTime,
    /// When it ended.
    pub ended_at: SystemTime,
}

//! A started child, as its launcher hands it over.

use std::os::fd::BorrowedFd;
use std::time::Duration;
use std::{fmt, io};

use super::mark::TreeMark;
use super::observation::Observation;
use super::usage::TreeCounters;
use crate::status::{KillReason, Signal};

/// How a leader ended, as `waitid(2)` reports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It exited with this code.
    Code(i32),
    /// A signal of this number ended it.
    Signal(u8),
}

/// A started child: the leader of its tree, and the tree.
///
/// No method blocks. After [`Process::reap`] no other method is called, because the
/// process id may belong to an unrelated process by then.
pub trait Process: Send + Sync + fmt::Debug {
    /// The process id, for the operator. Where there is no process it is a number that no other child of the launcher has, and
    /// better none that the system gives: on Linux one above 4194304 (2^22).
    fn pid(&self) -> u32;

    /// A descriptor that becomes readable once the leader has ended, and stays so: a pidfd, or the reading end of a pipe whose
    /// writing end is dropped at the end. The registry waits on a duplicate of it.
    fn exit_fd(&self) -> BorrowedFd<'_>;

    /// Returns how the leader ended, as often as it is called before
    /// [`Process::reap`]; none while it runs. Similar to `waitid` with
    /// `WEXITED | WNOWAIT | WNOHANG`.
    ///
    /// # Errors
    ///
    /// The launcher has ended the child for a reason of its own, or the system's error. The child
    /// then counts as killed by the host, and the operator's event has the error's text.
    fn try_exit(&self) -> io::Result<Option<Exit>>;

    /// Sends `signal` to the leader. Similar to `pidfd_send_signal`.
    ///
    /// # Errors
    ///
    /// The system's error. A leader that has ended is no error.
    fn signal(&self, signal: Signal) -> io::Result<()>;

    /// Sends `signal` to the leader and everything that it started, as far as the
    /// confinement keeps them together. Similar to `killpg`.
    ///
    /// # Errors
    ///
    /// The system's error. A tree of which nothing is left is no error.
    fn signal_tree(&self, signal: Signal) -> io::Result<()>;

    /// Reaps the ended leader, whose process id may be reused from then on. Similar to
    /// `waitid` with `WEXITED | WNOHANG`.
    ///
    /// # Errors
    ///
    /// The system's error.
    fn reap(&self) -> io::Result<()>;

    /// Returns what all processes of the tree have in common, by which `/proc` shows whose they are:
    /// their limits on file locks (`RLIMIT_LOCKS`) and their user. None, as by default, where all of the
    /// tree are in the leader's process group. Similar to `getrlimit`.
    fn mark(&self) -> Option<TreeMark> {
        None
    }

    /// Returns the processor time of the leader and of what it has reaped, once
    /// [`Process::try_exit`] has returned how it ended; by default none. Similar to `wait4`.
    fn ended_cpu(&self) -> Option<Duration> {
        None
    }

    /// Returns what the kernel counts for the tree; by default nothing, and the registry
    /// samples the tree. Called at every sample, once the leader has ended, and once more
    /// before [`Process::reap`], when the tree has been killed.
    fn counters(&self) -> TreeCounters {
        TreeCounters::default()
    }

    /// Returns what the tree was seen to use, in order, if its launcher observes it; by default nothing. `killed` is why
    /// the registry has killed the leader. Called once, before [`Process::reap`], when the tree has been killed.
    fn observations(&self, killed: Option<KillReason>) -> Vec<Observation> {
        let _ = killed;
        Vec::new()
    }
}

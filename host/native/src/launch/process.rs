//! A started child, as its launcher hands it over.

use std::os::fd::BorrowedFd;
use std::{fmt, io};

use crate::status::Signal;

/// What `waitid(2)` says of an ended leader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It called `exit` with this code.
    Code(i32),
    /// A signal of this number ended it.
    Signal(u8),
}

/// A started child: the leader of its tree, and the tree.
///
/// No method blocks. After [`Process::reap`] no other method is called: the
/// process id may belong to a stranger by then.
pub trait Process: Send + Sync + fmt::Debug {
    /// The process id, for the operator.
    fn pid(&self) -> u32;

    /// A descriptor that becomes readable once the leader has ended.
    fn exit_fd(&self) -> BorrowedFd<'_>;

    /// Says how the leader ended, and goes on saying so until
    /// [`Process::reap`]; none while it runs. Similar to `waitid` with `WEXITED | WNOWAIT | WNOHANG`.
    ///
    /// # Errors
    ///
    /// Whatever the system says; the child is then given up as killed by the host.
    fn try_exit(&self) -> io::Result<Option<Exit>>;

    /// Sends `signal` to the leader. Similar to `pidfd_send_signal`.
    ///
    /// # Errors
    ///
    /// Whatever the system says but that the leader has ended, which is success.
    fn signal(&self, signal: Signal) -> io::Result<()>;

    /// Sends `signal` to the leader and all that it started, as far as the
    /// confinement keeps them together. Similar to `killpg`.
    ///
    /// # Errors
    ///
    /// Whatever the system says but that nothing is left, which is success.
    fn signal_tree(&self, signal: Signal) -> io::Result<()>;

    /// Reaps the ended leader: its numbers may then be used again. Similar to `waitid` with `WEXITED | WNOHANG`.
    ///
    /// # Errors
    ///
    /// Whatever the system says.
    fn reap(&self) -> io::Result<()>;
}

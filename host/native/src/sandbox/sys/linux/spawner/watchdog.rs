//! The host's side of the watchdog, a process that kills the children of a killed host.
//!
//! The process is a `capspawn-init` that has called `setsid` and holds one end of a socket;
//! the host has the other end. Every child sends its process group there before it executes,
//! and the host reports the group as gone when it reaps the child. Rejected: `PR_SET_PDEATHSIG`. It follows the
//! thread that started a child, so that the end of a worker thread would kill the child.

use std::io::{self, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use capspawn_raw::child::Announce;
use capspawn_raw::wire::GroupChange;

use crate::sandbox::sys::linux::fd::stdio::above_stdio;
use crate::sandbox::sys::linux::spawned::Spawned;

/// A running watchdog. When dropped it kills the groups that were not taken back, and ends.
#[derive(Debug)]
pub(crate) struct Watchdog {
    /// `None` only while it is dropped.
    socket: Option<UnixStream>,
    pub(crate) process: Spawned,
}

impl Watchdog {
    /// Starts a watchdog through `start`, which gets the watchdog's end of the socket.
    pub(crate) fn new<E: From<io::Error>>(
        start: impl FnOnce(BorrowedFd<'_>) -> Result<Spawned, E>,
    ) -> Result<Self, E> {
        let (ours, theirs) = UnixStream::pair()?;
        let theirs = above_stdio(theirs.into())?;
        let ours = above_stdio(ours.into())?;
        let process = start(theirs.as_fd())?;
        Ok(Self {
            socket: Some(ours.into()),
            process,
        })
    }

    /// Returns how a child announces its group. The descriptor is 3 or higher.
    pub(crate) fn announce(&self) -> Option<Announce> {
        let socket = self.socket.as_ref()?.as_raw_fd();
        Some(Announce {
            socket,
            session: None,
        })
    }

    /// Takes back a group whose leader is about to be reaped.
    pub(crate) fn forget(&self, leader: &Spawned) {
        let change = GroupChange::Gone(leader.pid.as_raw_nonzero().get());
        // A watchdog that has ended kills no group either.
        let _ = self
            .socket
            .as_ref()
            .map(|mut socket| socket.write_all(&change.to_bytes()));
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        // Not only closed: a process that the host has forked may hold a copy.
        let _ = self
            .socket
            .take()
            .map(|socket| socket.shutdown(Shutdown::Both));
        // The process ends with the socket, at once.
        self.process.wait();
    }
}

//! The watcher process: what kills the children of a host that was killed.
//!
//! `PR_SET_PDEATHSIG` follows the *thread* that started a child: a pruned worker
//! thread would kill it. So the helper, in a session of its own, holds one end of
//! a socket whose other end only the host has. Every child says its process group
//! there itself, before it executes; the host takes it back when it reaps.

use std::io::{self, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use super::vfork::Spawned;
use crate::sandbox::sys::linux::fd::stdio::raised;

/// A running watcher. Dropped, it kills what has not been taken back, and ends.
#[derive(Debug)]
pub(crate) struct Watcher {
    /// None only while dropping.
    socket: Option<UnixStream>,
    pub(crate) process: Spawned,
}

impl Watcher {
    /// Starts one with `start`, which gets the watcher's end of the socket.
    pub(crate) fn new<E: From<io::Error>>(
        start: impl FnOnce(BorrowedFd<'_>) -> Result<Spawned, E>,
    ) -> Result<Self, E> {
        let (ours, theirs) = UnixStream::pair()?;
        let theirs = raised(theirs.into())?;
        let ours = raised(ours.into())?;
        let process = start(theirs.as_fd())?;
        Ok(Self {
            socket: Some(ours.into()),
            process,
        })
    }

    /// The descriptor to which a child writes its number, 3 or higher.
    pub(crate) fn descriptor(&self) -> i32 {
        self.socket.as_ref().map_or(-1, AsRawFd::as_raw_fd)
    }

    /// Takes a group back that is about to be reaped.
    pub(crate) fn forget(&self, leader: &Spawned) {
        let group = leader.pid.as_raw_nonzero().get();
        // A watcher that is gone holds nothing against the group either.
        let _ = self
            .socket
            .as_ref()
            .map(|mut socket| socket.write_all(&(-group).to_ne_bytes()));
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        // Not only closed: a copy in a process that was forked may keep it open.
        let _ = self
            .socket
            .take()
            .map(|socket| socket.shutdown(Shutdown::Both));
        // The end of the socket ends it at once.
        self.process.wait();
    }
}

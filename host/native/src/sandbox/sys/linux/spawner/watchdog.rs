//! The host's side of the watchdog, a process that kills the children of a killed host.
//!
//! The process is a `capspawn-init` that has called `setsid` and holds one end of a socket;
//! the host has the other end. Every child sends its process group there before it executes,
//! and the host reports the group as gone when it reaps the child. Rejected: `PR_SET_PDEATHSIG`. It follows the
//! thread that started a child, so that the end of a worker thread would kill the child.

use std::io;
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use capspawn_raw::child::Announce;
use capspawn_raw::wire::GroupChange;
use rustix::io::{Errno, retry_on_intr};
use rustix::net::{SendFlags, send};
use rustix::process::{Signal, pidfd_send_signal};

use crate::sandbox::sys::linux::fd::stdio::above_stdio;
use crate::sandbox::sys::linux::reaper::reap_ending;
use crate::sandbox::sys::linux::spawned::Spawned;

/// How long a child waits for room in the socket: 1 s. Only a watchdog that is stopped does not read.
const WRITE_TIMEOUT: Duration = Duration::from_secs(1);

/// A running watchdog. When dropped it kills the groups that were not taken back, and ends.
#[derive(Debug)]
pub(crate) struct Watchdog {
    /// `None` only while it is dropped.
    socket: Option<UnixStream>,
    /// `None` only while it is dropped.
    process: Option<Spawned>,
}

impl Watchdog {
    /// Starts a watchdog through `start`, which gets the watchdog's end of the socket.
    pub(crate) fn new<E: From<io::Error>>(
        start: impl FnOnce(BorrowedFd<'_>) -> Result<Spawned, E>,
    ) -> Result<Self, E> {
        let (ours, theirs) = UnixStream::pair()?;
        // A child announces itself while the host's thread waits for it.
        ours.set_write_timeout(Some(WRITE_TIMEOUT))?;
        let theirs = above_stdio(theirs.into())?;
        let ours = above_stdio(ours.into())?;
        let process = start(theirs.as_fd())?;
        Ok(Self {
            socket: Some(ours.into()),
            process: Some(process),
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
        let (Some(socket), Some(process)) = (&self.socket, &self.process) else {
            return;
        };
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        let sent = retry_on_intr(|| send(socket, &change.to_bytes(), flags));
        // A watchdog that has ended kills no group either. One that is stopped would kill, some day, whoever has the
        // number then: the next child gets a new one.
        if matches!(sent, Err(Errno::AGAIN)) {
            let _ = pidfd_send_signal(&process.pidfd, Signal::KILL);
        }
    }

    /// Returns the pid of the process.
    #[cfg(test)]
    pub(crate) fn pid(&self) -> rustix::process::Pid {
        self.process.as_ref().expect("only dropping takes it").pid
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        // Not only closed: a process that the host has forked may hold a copy.
        let _ = self
            .socket
            .take()
            .map(|socket| socket.shutdown(Shutdown::Both));
        // The process ends with the socket, at once, unless it is stopped.
        if let Some(process) = self.process.take() {
            reap_ending(process);
        }
    }
}

//! A child of the host that executes its program.

use std::os::fd::{AsFd, OwnedFd};

use rustix::io::retry_on_intr;
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

/// A child that executes its program, unreaped.
#[derive(Debug)]
pub(crate) struct Spawned {
    pub(crate) pid: Pid,
    pub(crate) pidfd: OwnedFd,
}

impl Spawned {
    /// Waits until the child has ended, and reaps it.
    pub(crate) fn wait(&self) {
        let id = || WaitId::PidFd(self.pidfd.as_fd());
        let _ = retry_on_intr(|| waitid(id(), WaitIdOptions::EXITED));
    }
}

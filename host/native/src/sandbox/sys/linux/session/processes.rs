//! The two processes of a session, and what ends with them.

use std::sync::Arc;

use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::process::{
    Signal, WaitId, WaitIdOptions, kill_process_group, pidfd_send_signal, waitid,
};

use super::announcements::Words;
use super::message::is_ready;
use super::reply::reap;
use crate::sandbox::sys::linux::spawner::process::Child;
use crate::sandbox::sys::linux::spawner::vfork::Spawned;

/// The server and pid 1, both children of the host. They are one process group, and
/// so is a child until it has said that it is there.
#[derive(Debug)]
pub(crate) struct Processes {
    pub(crate) server: Spawned,
    /// Of the children, to know those of a server that was killed before it could tell of them.
    pub(crate) words: Words,
}

impl Processes {
    /// Whether the server runs.
    pub(crate) fn is_served(&self) -> bool {
        !is_ready(&self.server.pidfd, PollFlags::IN)
    }

    /// Kills both. The kernel kills the whole namespace with its pid 1.
    pub(crate) fn kill(&self) {
        // The server is reaped last of all, by `reap`: until then the group's number is its own.
        let _ = kill_process_group(self.server.pid, Signal::KILL);
        // It may have had no time to make the group.
        let _ = pidfd_send_signal(&self.server.pidfd, Signal::KILL);
    }

    /// Kills both and reaps them, once all in the namespace are, the `dropped` children
    /// among them: not here, since that takes milliseconds, and this may be the thread
    /// that supervises all children.
    pub(crate) fn end(self, dropped: Vec<Arc<Child>>) {
        self.kill();
        let both = Arc::new((self, dropped));
        let later = Arc::clone(&both);
        let thread = std::thread::Builder::new().name("capspawn-end".into());
        if thread.spawn(move || later.0.reap(&later.1)).is_err() {
            both.0.reap(&both.1);
        }
    }

    /// Waits for the end of all, and reaps them.
    fn reap(&self, dropped: &[Arc<Child>]) {
        for child in dropped {
            child.wait();
        }
        self.words.untold().into_iter().for_each(reap);
        // The two, and whoever was killed before it could say that it is there. The kernel lets pid 1 be reaped
        // after all others in its namespace.
        let group = || WaitId::Pgid(Some(self.server.pid));
        while let Ok(_) | Err(Errno::INTR) = waitid(group(), WaitIdOptions::EXITED) {}
        self.server.wait();
    }
}

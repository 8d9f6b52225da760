//! The processes of a session, and what ends with them.

use std::sync::Arc;

use rustix::process::{Pid, Signal, kill_process_group};

use crate::sandbox::sys::linux::own_children;
use crate::sandbox::sys::linux::owners::Lease;
use crate::sandbox::sys::linux::reaper::in_background;
use crate::sandbox::sys::linux::server::Announcements;
use crate::sandbox::sys::linux::spawner::process::Child;

/// The first server and pid 1, both children of the host. With the other servers they share one
/// process group, to which a child belongs until it has announced itself.
#[derive(Debug)]
pub(crate) struct Processes {
    pub(crate) server: Pid,
    /// Finds the children of a server that was killed before it could report them.
    pub(crate) announcements: Arc<Announcements>,
    /// The number of the session there.
    pub(crate) number: u32,
    /// The user id, which is given back once all processes are gone.
    pub(crate) lease: Option<Arc<Lease>>,
}

impl Processes {
    /// Kills them all. The kernel kills the whole namespace with its pid 1.
    pub(crate) fn kill(&self) {
        // `reap` runs after this: until then no other process group has this number.
        let _ = kill_process_group(self.server, Signal::KILL);
        // A server that has just been started may not lead its group yet.
        own_children::kill_alone(self.server);
    }

    /// Returns whether the first server runs. It is reaped only when the session ends, so that no other process has its
    /// number.
    pub(crate) fn server_runs(&self) -> bool {
        own_children::runs(self.server)
    }

    /// Kills them, and reaps them once all processes of the namespace are reaped, the
    /// `unreaped` children included. Reaps on a thread of its own: it takes
    /// milliseconds, and the caller may be the thread that supervises all children.
    pub(crate) fn end(self, unreaped: Vec<Arc<Child>>) {
        self.kill();
        in_background(move || self.reap(&unreaped));
    }

    /// Waits until all of them have ended, and reaps them.
    fn reap(&self, unreaped: &[Arc<Child>]) {
        for child in unreaped {
            child.wait();
        }
        self.announcements
            .take_unreported(self.number)
            .into_iter()
            .for_each(own_children::reap);
        // The servers and pid 1, and each child that was killed before it could announce itself. The kernel lets
        // pid 1 be reaped only after all other processes in its namespace.
        own_children::reap_group(self.server);
        own_children::reap(self.server);
    }
}

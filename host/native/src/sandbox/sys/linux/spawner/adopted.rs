//! Processes that this process has adopted: those of a tree that have lost their parent and have
//! become children of the host.
//!
//! The problem: the kernel gives orphans to the next subreaper, or to pid 1. In a container that is
//! often the host itself, and what it does not reap stays a zombie. Only trees outside a session
//! leave any to the host; a session has a pid 1 of its own.
//!
//! The way chosen: an adopted process has the mark of its tree, so that it is told from the children
//! that other code of the host has started and waits for. Rejected: `waitid` for any child, which
//! takes their statuses away from that code.

use std::fs;

use rustix::process::{Pid, WaitId, WaitIdOptions, getpid, waitid};

use super::Spawner;
use super::marks::Marked;
use crate::launch::{LockLimits, locks_in};

impl Spawner {
    /// Whether orphans become children of this process.
    pub(crate) fn adopts(&self) -> bool {
        self.adopts
    }

    /// Reaps the adopted processes of all trees that have ended. The leaders are left to those who wait for them.
    pub(crate) fn reap_adopted(&self) {
        if !self.adopts {
            return;
        }
        // The main thread adopts, as long as it runs.
        let own = getpid().as_raw_nonzero();
        let children = fs::read_to_string(format!("/proc/self/task/{own}/children"));
        let children = children.unwrap_or_default();
        for pid in children.split_ascii_whitespace().filter_map(pid) {
            let is_adopted = match locks(pid).map(|locks| self.marks.find(locks)) {
                Some(Marked::Led(leader)) => leader != pid,
                Some(Marked::Left) => true,
                Some(Marked::Unknown) | None => false,
            };
            if is_adopted {
                let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
                let _ = waitid(WaitId::Pid(pid), options);
            }
        }
    }
}

fn pid(text: &str) -> Option<Pid> {
    Pid::from_raw(text.parse().ok()?)
}

/// Returns the limits on file locks of a process, a zombie among them.
fn locks(pid: Pid) -> Option<LockLimits> {
    locks_in(&fs::read(format!("/proc/{}/limits", pid.as_raw_nonzero())).ok()?)
}

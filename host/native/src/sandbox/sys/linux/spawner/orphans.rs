//! Processes of a tree that have lost their parent and have become children of the host.
//!
//! The problem: the kernel gives orphans to the next subreaper, or to pid 1. In a container that is
//! often the host itself, and what it does not reap stays a zombie. Only trees outside a session
//! leave orphans to the host; a session has a pid 1 of its own.
//!
//! The way chosen: an orphan has the mark of its tree, so that it is told from the children that
//! other code of the host has started and waits for. Rejected: `waitid` for any child, which takes
//! their statuses away from that code.

use std::fs;

use rustix::process::{Pid, WaitId, WaitIdOptions, getpid, waitid};

use super::Spawner;
use super::marks::Marked;

/// The line of `/proc/PID/limits` with the mark.
const LINE: &str = "Max file locks";

impl Spawner {
    /// Whether orphans become children of this process.
    pub(crate) fn adopts_orphans(&self) -> bool {
        self.adopts_orphans
    }

    /// Reaps the orphans of all trees that have ended. The leaders are left to those who wait for them.
    pub(crate) fn reap_orphans(&self) {
        if !self.adopts_orphans {
            return;
        }
        // The main thread adopts, as long as it runs.
        let own = getpid().as_raw_nonzero();
        let children = fs::read_to_string(format!("/proc/self/task/{own}/children"));
        let children = children.unwrap_or_default();
        for pid in children.split_ascii_whitespace().filter_map(pid) {
            let orphan = match mark(pid).map(|mark| self.marks.find(mark)) {
                Some(Marked::Led(leader)) => leader != pid,
                Some(Marked::Left) => true,
                Some(Marked::Unknown) | None => false,
            };
            if orphan {
                let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
                let _ = waitid(WaitId::Pid(pid), options);
            }
        }
    }
}

fn pid(text: &str) -> Option<Pid> {
    Pid::from_raw(text.parse().ok()?)
}

/// Returns the limit on file locks of a process, a zombie among them.
fn mark(pid: Pid) -> Option<u64> {
    let limits = fs::read_to_string(format!("/proc/{}/limits", pid.as_raw_nonzero())).ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix(LINE))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

//! What names all processes of a child's tree.
//!
//! The problem: a child's descendants make sessions and process groups of their own, and lose
//! their parents. A signal must reach all of them, and what they use must be counted.
//!
//! The way chosen: the Landlock domain of the server that has started the child, where servers
//! have domains; it names the tree for signals. The child's cgroup, where the host may make
//! one, names it for the kernel's counters. A mark that all processes of the tree inherit
//! and none can change, the limits on file locks, names it in `/proc`: for samples, and for a signal if the server was killed. Where neither a
//! domain nor the kernel's call to kill a cgroup is to be had, the filter keeps the tree in the process
//! group of its leader.

use std::io;

use rustix::process::{Pid, kill_process_group, pidfd_send_signal};

use super::marks::Mark;
use super::rlimits::MemoryLimit;
use crate::launch::{TreeCounters, TreeMark};
use crate::sandbox::sys::linux::cgroup::{Entry, Leaf};
use crate::sandbox::sys::linux::marked;
use crate::sandbox::sys::linux::server::Claimed;
use crate::sandbox::sys::linux::signal::{raw, unless_gone};
use crate::sandbox::sys::linux::spawned::Spawned;
use crate::status::Signal;

/// What names a tree, beside the process group of its leader.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    /// Given back when the tree is dropped, which is after its leader was reaped.
    cgroup: Option<Leaf>,
    mark: Option<Mark>,
    /// The server whose domain the tree is in. It is another's when the tree is dropped.
    server: Option<Claimed>,
}

impl Tree {
    /// Returns a tree that is to be in `cgroup` and to have `mark`.
    pub(crate) fn new(cgroup: Option<Leaf>, mark: Option<Mark>) -> Self {
        Self {
            cgroup,
            mark,
            server: None,
        }
    }

    /// Returns how the leader enters the cgroup, if there is one.
    pub(crate) fn entry(&self) -> Option<&Entry> {
        self.cgroup.as_ref().and_then(Leaf::entry)
    }

    /// Whether the kernel refuses tasks over the tree's limit, and over that alone.
    pub(crate) fn limits_tasks(&self) -> bool {
        self.cgroup.as_ref().is_some_and(Leaf::limits_tasks)
    }

    /// Returns what limits the memory of the tree.
    pub(crate) fn memory_limit(&self) -> MemoryLimit {
        MemoryLimit::of(self.cgroup.as_ref())
    }

    /// Returns what all processes of the tree have in common.
    pub(crate) fn mark(&self) -> Option<TreeMark> {
        self.mark.as_ref().map(Mark::of_tree)
    }

    /// Notes the leader, once it has started.
    pub(crate) fn set_leader(&self, leader: Pid) {
        if let Some(mark) = &self.mark {
            mark.set_leader(leader);
        }
    }

    /// Returns the tree once its leader has started: in the domain of `server`, where that has one.
    #[must_use]
    pub(crate) fn started(mut self, server: Option<Claimed>) -> Self {
        self.cgroup = self.cgroup.map(Leaf::entered);
        let mark = self.mark();
        self.server = server.map(|server| server.of_tree(mark));
        self
    }

    /// Sends `signal` to all processes of the tree of `leader`. After the end of the leader a tree of
    /// which nothing is left is not searched.
    ///
    /// # Errors
    ///
    /// The system's error; `EPIPE` if the server of the tree was killed, so that only the
    /// processes in the leader's group were reached.
    pub(crate) fn signal(
        &self,
        leader: &Spawned,
        has_ended: bool,
        signal: Signal,
    ) -> io::Result<()> {
        let in_group = || unless_gone(kill_process_group(leader.pid, raw(signal)));
        let is_kill = signal == Signal::Kill;
        if is_kill && has_ended && self.is_empty() {
            return Ok(());
        }
        if is_kill && let Some(cgroup) = &self.cgroup {
            cgroup.kill();
        }
        let Some(server) = &self.server else {
            return in_group();
        };
        // At once: the server has to be scheduled first.
        let of_leader = match is_kill {
            true => unless_gone(pidfd_send_signal(&leader.pidfd, raw(signal))),
            false => Ok(()),
        };
        let of_tree = server.signal_tree(signal).inspect_err(|_| {
            let _ = in_group();
        });
        of_tree.and(of_leader)
    }

    /// Returns whether nothing is left of the tree, whose leader has ended; false where that would take a search.
    pub(crate) fn is_empty(&self) -> bool {
        let had_one_task = self.cgroup.as_ref().is_some_and(Leaf::had_one_task);
        match &self.server {
            Some(server) if had_one_task => {
                server.mark_empty();
                true
            }
            Some(server) => server.is_empty(),
            None => had_one_task,
        }
    }

    /// Sends `signal` to all processes that have the tree's mark. Returns false where that names none.
    pub(crate) fn signal_marked(&self, signal: Signal) -> bool {
        let Some(mark) = self.mark() else {
            return false;
        };
        let found = match signal {
            Signal::Kill => marked::kill(mark),
            signal => marked::signal(&mark, signal).map(drop),
        };
        found
            .inspect_err(|error| tracing::warn!(%error, "a tree cannot be searched for"))
            .is_ok()
    }

    /// Returns what the kernel counts for the tree.
    pub(crate) fn counters(&self) -> TreeCounters {
        self.cgroup.as_ref().map(Leaf::counters).unwrap_or_default()
    }
}

//! Which ids of the range are free.
//!
//! An id is given out again only when no process has it. After a child that cannot leave its
//! tree that is certain. Otherwise, and for an id that this launcher has not used yet, the
//! machine's processes decide: one of them may be left from a host that was killed, or belong
//! to another program.

use std::collections::{BTreeSet, HashSet};

use super::host_lock::HostLock;
use crate::launch::OwnerUids;

/// The ids of a range.
#[derive(Debug)]
pub(super) struct Ids {
    uids: OwnerUids,
    lock: HostLock,
    /// Locked against other hosts, which they stay until this one ends.
    locked: BTreeSet<u32>,
    /// An owner's now.
    taken: BTreeSet<u32>,
    /// Free, and no process has it.
    known: BTreeSet<u32>,
}

impl Ids {
    pub(super) fn new(uids: OwnerUids, lock: HostLock) -> Self {
        Self {
            uids,
            lock,
            locked: BTreeSet::new(),
            taken: BTreeSet::new(),
            known: BTreeSet::new(),
        }
    }

    /// Takes the lowest id of which this launcher knows that no process has it.
    pub(super) fn take_known(&mut self) -> Option<u32> {
        let uid = self.known.pop_first()?;
        self.taken.insert(uid);
        Some(uid)
    }

    /// Takes the lowest free id that is not among those `in_use` by processes and not another
    /// host's; none if there is none.
    pub(super) fn take(&mut self, in_use: &HashSet<u32>) -> Option<u32> {
        let uid = self.uids.ids().find(|uid| {
            let is_free = !self.taken.contains(uid) && !in_use.contains(uid);
            is_free && (self.locked.contains(uid) || self.lock.try_lock(*uid))
        })?;
        self.locked.insert(uid);
        self.known.remove(&uid);
        self.taken.insert(uid);
        Some(uid)
    }

    /// Gives an id back, which processes may still have if `leaves_processes`.
    pub(super) fn give_back(&mut self, uid: u32, leaves_processes: bool) {
        self.taken.remove(&uid);
        if !leaves_processes {
            self.known.insert(uid);
        }
    }
}

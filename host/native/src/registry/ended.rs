//! The ended entries of an owner that are kept, oldest first, those that were observed apart.

use std::collections::BTreeSet;

/// Numbers of ended entries of one owner.
#[derive(Debug, Default)]
pub(super) struct Ended {
    /// Somebody has seen how they ended.
    observed: BTreeSet<u64>,
    /// Nobody has yet.
    unobserved: BTreeSet<u64>,
}

impl Ended {
    /// Adds the entry `id`.
    pub(super) fn insert(&mut self, id: u64, observed: bool) {
        if observed {
            self.observed.insert(id);
        } else {
            self.unobserved.insert(id);
        }
    }

    /// Moves the entry `id`, if it is kept, to the observed ones.
    pub(super) fn observe(&mut self, id: u64) {
        if self.unobserved.remove(&id) {
            self.observed.insert(id);
        }
    }

    /// Removes the entry `id`, if it is kept.
    pub(super) fn remove(&mut self, id: u64) {
        self.observed.remove(&id);
        self.unobserved.remove(&id);
    }

    /// Returns them in the order in which they make room: the observed ones first, and of each the
    /// oldest first.
    pub(super) fn in_order(&self) -> impl Iterator<Item = u64> {
        self.observed.iter().chain(&self.unobserved).copied()
    }

    /// Returns whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.observed.is_empty() && self.unobserved.is_empty()
    }
}

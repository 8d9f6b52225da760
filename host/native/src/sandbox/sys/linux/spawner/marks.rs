//! Numbers that mark the processes of a tree.
//!
//! The mark is a resource limit that no kernel since Linux 2.4 applies, the one on file locks
//! (`RLIMIT_LOCKS`): a process inherits it, the filter refuses to change it, and `/proc/PID/limits`
//! shows it to everybody.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::process::{Resource, getrlimit};

/// Marks that no other process has: a random number, and those after it.
#[derive(Debug)]
pub(crate) struct Marks(AtomicU64);

/// The first mark lies below this number. The largest number is no limit at all, and a limit is
/// shown in decimal, so that all marks are far below both.
const FIRST_BELOW: u64 = 1 << 48;

impl Default for Marks {
    fn default() -> Self {
        // The keys of a map are random.
        let random = RandomState::new().hash_one(std::process::id());
        Self(AtomicU64::new(FIRST_BELOW + random % FIRST_BELOW))
    }
}

impl Marks {
    /// Returns the next mark; none where the host itself is limited, so that its children cannot
    /// have a mark.
    pub(crate) fn next(&self) -> Option<u64> {
        let mark = self.0.fetch_add(1, Ordering::Relaxed);
        let own = getrlimit(Resource::Locks).maximum;
        own.is_none_or(|own| own >= mark).then_some(mark)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mark_is_another() {
        let [first, second] = [Marks::default(), Marks::default()];
        assert_ne!(first.next(), first.next());
        assert_ne!(first.next(), second.next());
    }
}

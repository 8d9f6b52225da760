//! Numbers that mark the processes of a tree.
//!
//! The mark is a resource limit that no kernel since Linux 2.4 applies, the one on file locks
//! (`RLIMIT_LOCKS`): a process inherits it, the filter refuses to change it, and `/proc/PID/limits`
//! shows it to everybody.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use rustix::process::{Pid, Resource, getrlimit};

/// Marks that no other process has: a random number, and those after it.
#[derive(Debug)]
pub(crate) struct Marks {
    first: u64,
    next: AtomicU64,
    /// The leaders of the trees that have a mark, where somebody needs them.
    leaders: Option<Arc<Leaders>>,
}

/// The marks that are in use, each with the leader of the tree; none before the leader has started.
type Leaders = Mutex<HashMap<u64, Option<Pid>>>;

/// The mark of one tree, in use until it is dropped.
#[derive(Debug)]
pub(crate) struct Mark {
    number: u64,
    leaders: Option<Arc<Leaders>>,
}

/// What is known of a mark that a process has.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Marked {
    /// It is no mark of this launcher, or its tree is only about to start.
    Unknown,
    /// Its tree has this leader.
    Led(Pid),
    /// The leader of its tree was reaped.
    Left,
}

/// The first mark lies below this number. The largest number is no limit at all, and a limit is
/// shown in decimal, so that all marks are far below both.
const FIRST_BELOW: u64 = 1 << 48;

impl Marks {
    /// Returns marks that remember the leaders of their trees if `keeps_leaders`.
    pub(crate) fn new(keeps_leaders: bool) -> Self {
        // The keys of a map are random.
        let random = RandomState::new().hash_one(std::process::id());
        let first = FIRST_BELOW + random % FIRST_BELOW;
        Self {
            first,
            next: AtomicU64::new(first),
            leaders: keeps_leaders.then(Arc::default),
        }
    }

    /// Returns the next mark; none where the host itself is limited, so that its children cannot
    /// have a mark.
    pub(crate) fn next(&self) -> Option<Mark> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let own = getrlimit(Resource::Locks).maximum;
        if own.is_some_and(|own| own < number) {
            return None;
        }
        let leaders = self.leaders.clone();
        if let Some(leaders) = &leaders {
            leaders.lock().insert(number, None);
        }
        Some(Mark { number, leaders })
    }

    /// Returns what is known of a process's limit on file locks.
    pub(crate) fn find(&self, number: u64) -> Marked {
        let Some(leaders) = &self.leaders else {
            return Marked::Unknown;
        };
        let leaders = leaders.lock();
        let is_own = (self.first..self.next.load(Ordering::Relaxed)).contains(&number);
        match leaders.get(&number) {
            Some(Some(leader)) => Marked::Led(*leader),
            None if is_own => Marked::Left,
            _ => Marked::Unknown,
        }
    }
}

impl Mark {
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Notes the leader of the tree.
    pub(crate) fn set_leader(&self, leader: Pid) {
        if let Some(leaders) = &self.leaders {
            leaders.lock().insert(self.number, Some(leader));
        }
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        if let Some(leaders) = &self.leaders {
            leaders.lock().remove(&self.number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mark_is_another() {
        let [first, second] = [Marks::new(false), Marks::new(true)];
        let number = |marks: &Marks| marks.next().expect("no limit").number();
        assert_ne!(number(&first), number(&first));
        assert_ne!(number(&first), number(&second));
    }

    #[test]
    fn a_mark_names_the_leader_of_its_tree_from_the_start_to_the_end() {
        let marks = Marks::new(true);
        let mark = marks.next().expect("no limit");
        let (number, leader) = (mark.number(), rustix::process::getpid());
        assert_eq!(marks.find(number), Marked::Unknown);
        mark.set_leader(leader);
        assert_eq!(marks.find(number), Marked::Led(leader));
        drop(mark);
        assert_eq!(marks.find(number), Marked::Left);
        assert_eq!(marks.find(number + 1), Marked::Unknown, "it is none yet");
        assert_eq!(marks.find(0), Marked::Unknown);
        assert_eq!(Marks::new(false).find(number), Marked::Unknown);
    }
}

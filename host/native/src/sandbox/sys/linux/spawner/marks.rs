//! Marks for the trees of a launcher.
//!
//! A child cannot have a limit on file locks above that of the host. Where the host has none, the soft and the hard limit
//! of a tree are one random number. Else they are two numbers below that of the host, of which there
//! are enough if it is not very low.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use rustix::process::{Pid, Resource, getrlimit};

use crate::launch::{LockLimits, TreeMark};

/// Limits that no other tree has: a random number, and those after it.
#[derive(Debug)]
pub(crate) struct Marks {
    first: u64,
    next: AtomicU64,
    /// The leaders of the trees that have a mark, where somebody needs them.
    leaders: Option<Arc<Leaders>>,
}

/// The marks that are in use, each with the leader of the tree; none before the leader has started.
type Leaders = Mutex<HashMap<LockLimits, Option<Pid>>>;

/// The mark of one tree, in use until it is dropped.
#[derive(Debug)]
pub(crate) struct Mark {
    tree: TreeMark,
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

/// The first number lies below twice this. The largest number is no limit at all, and a limit is
/// shown in decimal, so that all are far below both.
const FIRST_BELOW: u64 = 1 << 48;

/// The lowest limit of a host that leaves enough marks, 2048: a million pairs.
const LOWEST_HARD: u64 = 2048;

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

    /// Returns the mark of a tree that starts now as the user `uid`; none where the limit of the
    /// host itself is too low.
    pub(crate) fn next(&self, uid: u32) -> Option<Mark> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let locks = locks(number, getrlimit(Resource::Locks).maximum)?;
        let leaders = self.leaders.clone();
        if let Some(leaders) = &leaders {
            leaders.lock().insert(locks, None);
        }
        let tree = TreeMark::new(locks, uid, ticks_since_boot());
        Some(Mark { tree, leaders })
    }

    /// Returns what is known of a process's limits on file locks.
    pub(crate) fn find(&self, locks: LockLimits) -> Marked {
        let Some(leaders) = &self.leaders else {
            return Marked::Unknown;
        };
        let leaders = leaders.lock();
        match leaders.get(&locks) {
            Some(Some(leader)) => Marked::Led(*leader),
            None if self.has_given(locks) => Marked::Left,
            _ => Marked::Unknown,
        }
    }

    /// Whether a tree has had these limits as its mark.
    fn has_given(&self, locks: LockLimits) -> bool {
        let own = getrlimit(Resource::Locks);
        // Of what the host inherits to its other children.
        if locks == [own.current, own.maximum].map(|limit| limit.unwrap_or(u64::MAX)) {
            return false;
        }
        let given = self.next.load(Ordering::Relaxed) - self.first;
        number_after(self.first, locks, own.maximum).is_some_and(|number| number < given)
    }
}

impl Mark {
    /// Returns what all processes of the tree have in common.
    pub(crate) fn of_tree(&self) -> TreeMark {
        self.tree
    }

    /// Notes the leader of the tree.
    pub(crate) fn set_leader(&self, leader: Pid) {
        if let Some(leaders) = &self.leaders {
            leaders.lock().insert(self.tree.locks(), Some(leader));
        }
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        if let Some(leaders) = &self.leaders {
            leaders.lock().remove(&self.tree.locks());
        }
    }
}

/// Whether the limit of the host leaves room for marks.
pub(crate) fn can_mark() -> bool {
    locks(FIRST_BELOW, getrlimit(Resource::Locks).maximum).is_some()
}

/// Returns the limits that stand for `number` on a host with the hard limit `own`.
fn locks(number: u64, own: Option<u64>) -> Option<LockLimits> {
    match own {
        Some(own) if own < LOWEST_HARD => None,
        // No number is so large.
        Some(own) if own < 4 * FIRST_BELOW => {
            let half = own / 2;
            let [low, high] = [number % half, number / half % half];
            // A soft limit below the hard one, which no number without a limit of the host has.
            Some([low, own - high])
        }
        _ => Some([number; 2]),
    }
}

/// Returns how far after `first` the first number is for which `locks` stand on a host with the hard limit `own`; none if
/// they stand for no number from there on.
fn number_after(first: u64, [soft, hard]: LockLimits, own: Option<u64>) -> Option<u64> {
    match own {
        Some(own) if own < LOWEST_HARD => None,
        Some(own) if own < 4 * FIRST_BELOW => {
            let half = own / 2;
            let high = own.checked_sub(hard)?;
            if soft >= half || high >= half {
                return None;
            }
            // As large as 2^98.
            let (pairs, first) = (u128::from(half) * u128::from(half), u128::from(first));
            let number = u128::from(high) * u128::from(half) + u128::from(soft);
            u64::try_from((number + pairs - first % pairs) % pairs).ok()
        }
        _ if soft == hard => soft.checked_sub(first),
        _ => None,
    }
}

/// Returns the time in the unit and from the beginning that `/proc` has for the start of processes, ticks of 10 ms.
#[allow(unsafe_code, reason = "the clock of libc")]
fn ticks_since_boot() -> u64 {
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the call stores a `struct timespec` in `now`.
    let read = unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &raw mut now) };
    let ticks = now.tv_sec.saturating_mul(100) + now.tv_nsec / 10_000_000;
    // Where there is no such clock, every process is younger.
    match read {
        0 => u64::try_from(ticks).unwrap_or(0),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn each_mark_is_another() {
        let [first, second] = [Marks::new(false), Marks::new(true)];
        let locks = |marks: &Marks| marks.next(0).map(|mark| mark.of_tree().locks());
        assert_ne!(locks(&first), locks(&first));
        assert_ne!(locks(&first), locks(&second));
    }

    #[test]
    fn a_mark_names_the_leader_of_its_tree_from_the_start_to_the_end() {
        let marks = Marks::new(true);
        let mark = marks.next(0).expect("the limit is not too low");
        let (locks, leader) = (mark.of_tree().locks(), rustix::process::getpid());
        assert_eq!(marks.find(locks), Marked::Unknown);
        mark.set_leader(leader);
        assert_eq!(marks.find(locks), Marked::Led(leader));
        let [soft, hard] = locks;
        assert_eq!(marks.find([soft, hard - 1]), Marked::Unknown, "another");
        drop(mark);
        assert_eq!(marks.find(locks), Marked::Left);
        let next = marks.next(0).expect("as before").of_tree().locks();
        assert_eq!(marks.find(next), Marked::Left);
        assert_eq!(marks.find([0, 0]), Marked::Unknown);
        assert_eq!(Marks::new(false).find(locks), Marked::Unknown);
    }

    #[test]
    fn the_number_of_a_mark_is_found_and_no_other_limits_have_one() {
        for own in [None, Some(LOWEST_HARD), Some(5001), Some(1 << 40)] {
            let first = FIRST_BELOW + 12_345;
            for after in [0, 1, 1000, 999_999] {
                let locks = locks(first + after, own).expect("it is not too low");
                assert_eq!(number_after(first, locks, own), Some(after), "{own:?}");
            }
            assert_eq!(number_after(first, [u64::MAX, 0], own), None, "{own:?}");
        }
        assert_eq!(number_after(7, [6, 6], None), None, "it is none yet");
        assert_eq!(number_after(7, [7, 8], None), None);
        assert_eq!(number_after(7, [7, 7], Some(LOWEST_HARD - 1)), None);
    }

    #[test]
    fn a_limit_of_the_host_leaves_a_million_marks_below_it_or_none() {
        assert_eq!(locks(FIRST_BELOW, Some(LOWEST_HARD - 1)), None);
        assert_eq!(locks(7, None), Some([7, 7]));
        assert_eq!(locks(7, Some(u64::MAX - 1)), Some([7, 7]));
        for own in [LOWEST_HARD, 5001] {
            let numbers = FIRST_BELOW..FIRST_BELOW + 1_000_000;
            let pairs: HashSet<_> = numbers
                .map(|number| locks(number, Some(own)).expect("it is not too low"))
                .inspect(|[soft, hard]| assert!(soft < hard && *hard <= own))
                .collect();
            assert_eq!(pairs.len(), 1_000_000, "{own}");
        }
    }

    #[test]
    fn a_process_is_started_after_the_boot_and_before_now() {
        let stat = std::fs::read_to_string("/proc/self/stat").expect("it is mounted");
        let (_, fields) = stat.rsplit_once(')').expect("a name");
        let own = fields.split_whitespace().nth(19).expect("22 fields");
        let own: u64 = own.parse().expect("a number");
        let now = ticks_since_boot();
        // The test runs for less than an hour.
        assert!(own <= now && now < own + 360_000, "{own} {now}");
    }
}

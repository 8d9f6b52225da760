//! Marks for the trees of a launcher.
//!
//! A child cannot have a limit on file locks above that of the host. Where the host has none, the soft and the hard limit
//! of a tree are one random number. Else they are two numbers below that of the host, of which there
//! are enough if it is not very low.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::process::{Resource, getrlimit};

use crate::launch::{LockLimits, TreeMark};

/// Limits that no other tree has: a random number, and those after it.
#[derive(Debug)]
pub(crate) struct Marks(AtomicU64);

/// The first number lies below twice this. The largest number is no limit at all, and a limit is
/// shown in decimal, so that all are far below both.
const FIRST_BELOW: u64 = 1 << 48;

/// The lowest limit of a host that leaves enough marks, 2048: a million pairs.
const LOWEST_HARD: u64 = 2048;

impl Default for Marks {
    fn default() -> Self {
        // The keys of a map are random.
        let random = RandomState::new().hash_one(std::process::id());
        Self(AtomicU64::new(FIRST_BELOW + random % FIRST_BELOW))
    }
}

impl Marks {
    /// Returns the mark of a tree that starts now as the user `uid`; none where the limit of the
    /// host itself is too low.
    pub(crate) fn next(&self, uid: u32) -> Option<TreeMark> {
        let number = self.0.fetch_add(1, Ordering::Relaxed);
        let locks = locks(number, getrlimit(Resource::Locks).maximum)?;
        Some(TreeMark::new(locks, uid, ticks_since_boot()))
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
        let [first, second] = [Marks::default(), Marks::default()];
        let locks = |marks: &Marks| marks.next(0).map(|mark| mark.locks());
        assert_ne!(locks(&first), locks(&first));
        assert_ne!(locks(&first), locks(&second));
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

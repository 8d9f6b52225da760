//! How many events of each owner are reported one by one.
//!
//! A request that starts nothing costs its guest nothing, so nothing but the guest's own speed limits how many there
//! are. Each owner has a budget that refills with time; what is over it is counted, and the count is reported before
//! the next event that fits, or when the guest ends. Rejected: one budget for the host, with which one guest would
//! hide the events of another.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::rate::Bucket;
use crate::child::owner::OwnerKey;
use crate::grant::Rate;
use crate::limits::{EVENTS_PER_SECOND, MAX_EVENTS_AT_ONCE};

/// The number of owners from which on those with a full budget are forgotten: 64.
const MIN_SWEEP: usize = 64;

/// [`MAX_EVENTS_AT_ONCE`], refilled with [`EVENTS_PER_SECOND`].
const RATE: Rate = Rate {
    count: MAX_EVENTS_AT_ONCE,
    per: Duration::from_millis(1000 * MAX_EVENTS_AT_ONCE as u64 / EVENTS_PER_SECOND as u64),
};

/// The budgets of the owners that had such an event lately.
#[derive(Debug)]
pub(super) struct Budgets {
    owners: HashMap<OwnerKey, Budget>,
    /// The number of owners at which those with a full budget are forgotten.
    sweep_at: usize,
}

#[derive(Debug)]
struct Budget {
    bucket: Bucket,
    /// Events that were counted and not reported yet.
    suppressed: u64,
}

impl Default for Budgets {
    fn default() -> Self {
        Self {
            owners: HashMap::new(),
            sweep_at: MIN_SWEEP,
        }
    }
}

impl Budgets {
    /// Counts one event of `owner`. If it is to be reported, returns how many were not since the last one.
    pub(super) fn take(&mut self, owner: &OwnerKey, now: Instant) -> Option<u64> {
        if self.owners.len() >= self.sweep_at && !self.owners.contains_key(owner) {
            self.sweep(now);
        }
        let budget = self.owners.entry(owner.clone()).or_insert_with(|| Budget {
            bucket: Bucket::full(now),
            suppressed: 0,
        });
        if !budget.bucket.take(RATE, now) {
            budget.suppressed += 1;
            return None;
        }
        Some(std::mem::take(&mut budget.suppressed))
    }

    /// Returns how many events of `owner` were not reported, and counts anew.
    pub(super) fn take_suppressed(&mut self, owner: &OwnerKey) -> u64 {
        let budget = self.owners.get_mut(owner);
        budget.map_or(0, |budget| std::mem::take(&mut budget.suppressed))
    }

    /// Forgets the owners to which a new budget would be the same.
    fn sweep(&mut self, now: Instant) {
        self.owners
            .retain(|_, budget| budget.suppressed > 0 || budget.bucket.full_at() > now);
        self.sweep_at = MIN_SWEEP.max(2 * self.owners.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(name: &str) -> OwnerKey {
        OwnerKey::new(name, "")
    }

    #[test]
    fn events_over_the_budget_are_counted_and_the_count_is_reported_once() {
        let (mut budgets, start) = (Budgets::default(), Instant::now());
        for _ in 0..MAX_EVENTS_AT_ONCE {
            assert_eq!(budgets.take(&owner("a"), start), Some(0));
        }
        assert_eq!(budgets.take(&owner("a"), start), None);
        assert_eq!(budgets.take(&owner("a"), start), None);
        // Another owner has a budget of its own.
        assert_eq!(budgets.take(&owner("b"), start), Some(0));
        let later = start + Duration::from_secs(1);
        assert_eq!(budgets.take(&owner("a"), later), Some(2));
        assert_eq!(budgets.take(&owner("a"), later), Some(0));
        let reported = (0..100)
            .filter_map(|_| budgets.take(&owner("a"), later))
            .count();
        assert_eq!(reported, EVENTS_PER_SECOND as usize - 2);
        assert_eq!(budgets.take_suppressed(&owner("a")), 100 - reported as u64);
        assert_eq!(budgets.take_suppressed(&owner("a")), 0);
    }

    #[test]
    fn owners_without_such_events_are_forgotten() {
        let (mut budgets, start) = (Budgets::default(), Instant::now());
        for number in 0..10_000u32 {
            let now = start + Duration::from_secs(1) * number;
            budgets.take(&owner(&number.to_string()), now);
        }
        assert!(
            budgets.owners.len() <= MIN_SWEEP,
            "{}",
            budgets.owners.len()
        );
    }
}

//! How many refused requests of each owner are reported one by one.
//!
//! A refused request starts nothing, so nothing but the guest's own speed limits how many there are. Each owner has a
//! budget that refills with time; what is over it is counted, and the count is reported before the next refusal that
//! fits, or when the guest ends. Rejected: one budget for the host, with which one guest would hide the refusals of
//! another.

use std::collections::HashMap;
use std::time::Instant;

use crate::child::owner::OwnerKey;
use crate::limits::{MAX_REFUSALS_AT_ONCE, REFUSALS_PER_SECOND};

/// The number of owners from which on those with a full budget are forgotten: 64.
const MIN_SWEEP: usize = 64;

/// The budgets of the owners that had a refused request lately.
#[derive(Debug)]
pub(super) struct Refusals {
    owners: HashMap<OwnerKey, Budget>,
    /// The number of owners at which those with a full budget are forgotten.
    sweep_at: usize,
}

#[derive(Debug)]
struct Budget {
    tokens: f64,
    filled: Instant,
    /// Refusals that were counted and not reported yet.
    suppressed: u64,
}

impl Default for Refusals {
    fn default() -> Self {
        Self {
            owners: HashMap::new(),
            sweep_at: MIN_SWEEP,
        }
    }
}

impl Refusals {
    /// Counts one refused request of `owner`. If it is to be reported, returns how many were not since the last one.
    pub(super) fn take(&mut self, owner: &OwnerKey, now: Instant) -> Option<u64> {
        if self.owners.len() >= self.sweep_at && !self.owners.contains_key(owner) {
            self.sweep(now);
        }
        let budget = self.owners.entry(owner.clone()).or_insert_with(|| Budget {
            tokens: f64::from(MAX_REFUSALS_AT_ONCE),
            filled: now,
            suppressed: 0,
        });
        budget.refill(now);
        if budget.tokens < 1.0 {
            budget.suppressed += 1;
            return None;
        }
        budget.tokens -= 1.0;
        Some(std::mem::take(&mut budget.suppressed))
    }

    /// Returns how many refusals of `owner` were not reported, and counts anew.
    pub(super) fn take_suppressed(&mut self, owner: &OwnerKey) -> u64 {
        let budget = self.owners.get_mut(owner);
        budget.map_or(0, |budget| std::mem::take(&mut budget.suppressed))
    }

    /// Forgets the owners to which a new budget would be the same.
    fn sweep(&mut self, now: Instant) {
        self.owners.retain(|_, budget| {
            budget.refill(now);
            budget.suppressed > 0 || budget.tokens < f64::from(MAX_REFUSALS_AT_ONCE)
        });
        self.sweep_at = MIN_SWEEP.max(2 * self.owners.len());
    }
}

impl Budget {
    fn refill(&mut self, now: Instant) {
        let since = now.saturating_duration_since(self.filled).as_secs_f64();
        let tokens = self.tokens + since * f64::from(REFUSALS_PER_SECOND);
        self.tokens = tokens.min(f64::from(MAX_REFUSALS_AT_ONCE));
        self.filled = now;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn owner(name: &str) -> OwnerKey {
        OwnerKey::new(name, "")
    }

    #[test]
    fn refusals_over_the_budget_are_counted_and_the_count_is_reported_once() {
        let (mut refusals, start) = (Refusals::default(), Instant::now());
        for _ in 0..MAX_REFUSALS_AT_ONCE {
            assert_eq!(refusals.take(&owner("a"), start), Some(0));
        }
        assert_eq!(refusals.take(&owner("a"), start), None);
        assert_eq!(refusals.take(&owner("a"), start), None);
        // Another owner has a budget of its own.
        assert_eq!(refusals.take(&owner("b"), start), Some(0));
        let later = start + Duration::from_secs(1);
        assert_eq!(refusals.take(&owner("a"), later), Some(2));
        assert_eq!(refusals.take(&owner("a"), later), Some(0));
        let reported = (0..100)
            .filter_map(|_| refusals.take(&owner("a"), later))
            .count();
        assert_eq!(reported, REFUSALS_PER_SECOND as usize - 2);
        assert_eq!(refusals.take_suppressed(&owner("a")), 100 - reported as u64);
        assert_eq!(refusals.take_suppressed(&owner("a")), 0);
    }

    #[test]
    fn owners_without_refusals_are_forgotten() {
        let (mut refusals, start) = (Refusals::default(), Instant::now());
        for number in 0..10_000u32 {
            let now = start + Duration::from_secs(1) * number;
            refusals.take(&owner(&number.to_string()), now);
        }
        assert!(
            refusals.owners.len() <= MIN_SWEEP,
            "{}",
            refusals.owners.len()
        );
    }
}

//! The owners of a registry: those in use, and those whose rate is remembered.
//!
//! An owner in use has guests, children, or something that the host holds for it. An owner of which only a
//! spent rate is left *rests*: it takes a key and a moment, until its bucket is full and nothing of it is left to
//! remember.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use super::rate::Bucket;
use super::usage::Usage;
use crate::child::account::{Account, Totals};
use crate::child::owner::OwnerKey;

/// Owners that rest, at most: 16,384, some 200 bytes each. Beyond it those are forgotten that had to rest
/// least; they may then start as if they had not. Stops a host that makes up a tenant for each request from
/// growing.
const MAX_RESTING: usize = 16 * 1024;

/// From how many owners on the map is searched for those to forget.
const MIN_SWEEP: usize = 64;

/// The owners, by name.
#[derive(Debug)]
pub(super) struct Owners {
    totals: Arc<Totals>,
    used: HashMap<OwnerKey, Usage>,
    resting: HashMap<OwnerKey, Bucket>,
    /// From how many owners on both maps are searched again.
    sweep_at: usize,
}

impl Owners {
    pub(super) fn new(totals: Arc<Totals>) -> Self {
        Self {
            totals,
            used: HashMap::new(),
            resting: HashMap::new(),
            sweep_at: MIN_SWEEP,
        }
    }

    /// Returns what `owner` has in use; a new owner has nothing.
    pub(super) fn usage(&mut self, owner: &OwnerKey) -> &mut Usage {
        let (totals, resting) = (&self.totals, &mut self.resting);
        self.used.entry(owner.clone()).or_insert_with(|| {
            let account = Account::new(Arc::clone(totals));
            Usage::new(account, resting.remove(owner))
        })
    }

    /// Returns what `owner` has in use, if it is known.
    pub(super) fn get(&self, owner: &OwnerKey) -> Option<&Usage> {
        self.used.get(owner)
    }

    /// Returns what `owner` has in use, to change it, if it is known.
    pub(super) fn get_mut(&mut self, owner: &OwnerKey) -> Option<&mut Usage> {
        self.used.get_mut(owner)
    }

    /// Forgets `owner`, or lets it rest, where nothing of it is in use.
    pub(super) fn forget_unused(&mut self, owner: &OwnerKey) {
        if self.used.get(owner).is_some_and(Usage::is_unused)
            && let Some(bucket) = self.used.remove(owner).and_then(|usage| usage.bucket())
        {
            self.resting.insert(owner.clone(), bucket);
        }
    }

    /// Forgets every owner of which nothing is left, once there are twice as many as after the last
    /// time: an owner's streams may be closed when no verb concerns it any more.
    pub(super) fn sweep(&mut self, now: Instant) {
        if self.used.len() + self.resting.len() < self.sweep_at {
            return;
        }
        let unused = self.used.iter().filter(|(_, usage)| usage.is_unused());
        let unused: Vec<_> = unused.map(|(owner, _)| owner.clone()).collect();
        for owner in &unused {
            self.forget_unused(owner);
        }
        self.resting.retain(|_, bucket| bucket.full_at() > now);
        if self.resting.len() > MAX_RESTING {
            let mut moments: Vec<_> = self.resting.values().map(Bucket::full_at).collect();
            let middle = moments.len() / 2;
            let (_, median, _) = moments.select_nth_unstable(middle);
            let median = *median;
            self.resting.retain(|_, bucket| bucket.full_at() > median);
        }
        self.used.shrink_to(MIN_SWEEP);
        self.resting.shrink_to(MIN_SWEEP);
        let left = self.used.len() + self.resting.len();
        self.sweep_at = MIN_SWEEP.max(2 * left).min(left + MAX_RESTING);
    }

    /// Returns how many owners are in use, and how many rest.
    #[cfg(test)]
    pub(super) fn counts(&self) -> (usize, usize) {
        (self.used.len(), self.resting.len())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::child::account::{Need, Share};
    use crate::grant::Rate;

    fn owners() -> Owners {
        Owners::new(Totals::new(1000, 1000))
    }

    fn tenant(number: usize) -> OwnerKey {
        OwnerKey::new("component", &number.to_string())
    }

    fn daily() -> Option<Rate> {
        Some(Rate {
            count: 10,
            per: Duration::from_secs(86_400),
        })
    }

    /// A tenant that comes, spends one request, and goes.
    fn visit(owners: &mut Owners, number: usize, now: Instant) -> bool {
        let owner = tenant(number);
        owners.sweep(now);
        let usage = owners.usage(&owner);
        usage.enter();
        let charged = usage.charge_rate(daily(), now).is_ok();
        usage.leave();
        owners.forget_unused(&owner);
        charged
    }

    #[test]
    fn an_owner_that_rests_has_its_rate_when_it_comes_back() {
        let (mut owners, now) = (owners(), Instant::now());
        let visits = (0..20).filter(|_| visit(&mut owners, 1, now));
        assert_eq!(visits.count(), 10);
        assert_eq!(owners.counts(), (0, 1));
    }

    #[test]
    fn an_owner_is_forgotten_once_its_rate_is_whole_again() {
        let (mut owners, now) = (owners(), Instant::now());
        for number in 0..1000 {
            visit(&mut owners, number, now);
        }
        assert_eq!(owners.counts(), (0, 1000));
        let later = now + Duration::from_secs(86_400);
        for number in 1000..2000 {
            visit(&mut owners, number, later);
        }
        assert!(owners.counts().1 <= 1000, "{:?}", owners.counts());
    }

    #[test]
    fn two_hundred_thousand_tenants_with_a_rate_do_not_add_up() {
        let (mut owners, now) = (owners(), Instant::now());
        let mut most = 0;
        for number in 0..200_000 {
            visit(&mut owners, number, now);
            most = most.max(owners.counts().1);
        }
        assert!(most <= 3 * MAX_RESTING, "{most}");
    }

    #[test]
    fn an_owner_whose_stream_is_open_is_not_forgotten() {
        let (mut owners, now) = (owners(), Instant::now());
        let share = Share {
            bytes: 0,
            descriptors: 1,
        };
        let owner = tenant(0);
        let account = Arc::clone(owners.usage(&owner).account());
        let need = Need {
            descriptors: 1,
            ..Need::default()
        };
        let open = account.take(share, need).expect("there is room");
        owners.forget_unused(&owner);
        assert_eq!(owners.counts(), (1, 0));
        drop(open);
        for number in 1..=MIN_SWEEP {
            visit(&mut owners, number, now);
        }
        assert_eq!(owners.counts().0, 0);
    }
}

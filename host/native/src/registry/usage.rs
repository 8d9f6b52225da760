//! What one owner has in use, against its quotas.
//!
//! An owner is a component's section of the grant together with the embedder's
//! `tenant`. Running children and the spawn rate count per owner, so a guest gains
//! nothing by being instantiated again.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use super::ended::Ended;
use super::holdings::Holdings;
use super::key::DetachKey;
use super::rate::Bucket;
use crate::child::account::Account;
use crate::error::Quota;
use crate::grant::Rate;

/// Ended process trees of one owner that may still await cleanup, in addition to
/// its live children: 64, or `max-live` where that is more. Stops a guest from
/// keeping any number of daemons alive for the drain grace, and lets an honest guest
/// start its next child as soon as the last one has ended.
const MAX_DRAINING: u32 = 64;

/// What an owner has in use.
#[derive(Debug)]
pub(super) struct Usage {
    /// What the host holds for it.
    account: Arc<Account>,
    /// Children that are being started, that run, or that have ended and are kept.
    entries: usize,
    /// Children that run.
    live: u32,
    /// Children that have ended and whose tree is not gone yet.
    draining: u32,
    /// Guests of this owner.
    guests: usize,
    bucket: Option<Bucket>,
    /// Ended entries that are kept.
    ended: Ended,
    /// Detached children that nobody has attached to.
    keys: HashMap<DetachKey, u64>,
}

impl Usage {
    /// Of an owner that has nothing in use; `bucket` is what is left of its rate.
    pub(super) fn new(account: Arc<Account>, bucket: Option<Bucket>) -> Self {
        Self {
            account,
            entries: 0,
            live: 0,
            draining: 0,
            guests: 0,
            bucket,
            ended: Ended::default(),
            keys: HashMap::new(),
        }
    }

    /// What the host holds for this owner.
    pub(super) fn account(&self) -> &Arc<Account> {
        &self.account
    }

    /// What is left of the rate, if it was ever charged.
    pub(super) fn bucket(&self) -> Option<Bucket> {
        self.bucket
    }

    /// Children that are being started, that run, or that have ended and are kept.
    pub(super) fn entries(&self) -> usize {
        self.entries
    }

    /// What is held for this owner, for the operator.
    pub(super) fn holdings(&self) -> Holdings {
        let (bytes, descriptors) = self.account.held();
        Holdings {
            children: self.entries,
            bytes,
            descriptors,
        }
    }

    /// Counts one more entry.
    pub(super) fn add_entry(&mut self) {
        self.entries += 1;
    }

    /// Counts one entry less.
    pub(super) fn remove_entry(&mut self) {
        self.entries -= 1;
    }

    /// Counts one request against the rate.
    pub(super) fn charge_rate(&mut self, rate: Option<Rate>, now: Instant) -> Result<(), Quota> {
        let Some(rate) = rate else { return Ok(()) };
        let bucket = self.bucket.get_or_insert_with(|| Bucket::full(now));
        if bucket.take(rate, now) {
            Ok(())
        } else {
            Err(Quota::SpawnRate)
        }
    }

    /// Counts one more live child, unless `max_live` is reached.
    pub(super) fn take_live(&mut self, max_live: u32) -> Result<(), Quota> {
        // An ended tree may last as long as the drain grace. It is not live, but the
        // number of such trees is bounded too.
        let excess = self.draining.saturating_sub(max_live.max(MAX_DRAINING));
        if self.live.saturating_add(excess) >= max_live {
            return Err(Quota::LiveChildren);
        }
        self.live += 1;
        Ok(())
    }

    /// Returns the place of a child that did not start.
    pub(super) fn give_back(&mut self) {
        self.live -= 1;
    }

    /// A child has ended; its tree is not gone yet.
    pub(super) fn end(&mut self) {
        self.live -= 1;
        self.draining += 1;
    }

    /// The tree of an ended child is gone.
    pub(super) fn complete(&mut self) {
        self.draining -= 1;
    }

    /// Counts one more guest of this owner.
    pub(super) fn enter(&mut self) {
        self.guests += 1;
    }

    /// Counts one guest less.
    pub(super) fn leave(&mut self) {
        self.guests -= 1;
    }

    /// The ended entries that are kept.
    pub(super) fn ended(&self) -> &Ended {
        &self.ended
    }

    pub(super) fn ended_mut(&mut self) -> &mut Ended {
        &mut self.ended
    }

    /// The keys of detached children, each with the child's number.
    pub(super) fn keys(&self) -> &HashMap<DetachKey, u64> {
        &self.keys
    }

    /// Adds the key to the child `id`.
    pub(super) fn add_key(&mut self, key: DetachKey, id: u64) {
        self.keys.insert(key, id);
    }

    /// Uses `key` up, and returns its child's number.
    pub(super) fn take_key(&mut self, key: &DetachKey) -> Option<u64> {
        self.keys.remove(key)
    }

    /// Forgets the key to the child `id`, if it has one.
    pub(super) fn revoke(&mut self, id: u64) {
        self.keys.retain(|_, of| *of != id);
    }

    /// Returns the live children and the ended trees that are not gone yet.
    #[cfg(test)]
    pub(super) fn counts(&self) -> (u32, u32) {
        (self.live, self.draining)
    }

    /// Returns whether nothing is left but, perhaps, a rate.
    pub(super) fn is_unused(&self) -> bool {
        self.guests == 0
            && self.entries == 0
            && self.live == 0
            && self.draining == 0
            && self.ended.is_empty()
            && self.keys.is_empty()
            && self.account.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::child::account::Totals;

    fn owner() -> Usage {
        Usage::new(Account::new(Totals::new(0, 0)), None)
    }

    #[test]
    fn live_children_are_bounded_and_given_back() {
        let mut owner = owner();
        owner.take_live(2).expect("none runs");
        owner.take_live(2).expect("one runs");
        assert_eq!(owner.take_live(2), Err(Quota::LiveChildren));
        owner.give_back();
        owner.take_live(2).expect("one was given back");
        owner.end();
        owner.take_live(2).expect("an ended child is not live");
    }

    #[test]
    fn trees_that_await_cleanup_are_bounded_too() {
        let mut owner = owner();
        for _ in 0..MAX_DRAINING + 1 {
            owner.take_live(2).expect("nothing live");
            owner.end();
        }
        owner
            .take_live(2)
            .expect("one tree over the bound leaves one place");
        assert_eq!(owner.take_live(2), Err(Quota::LiveChildren));
        owner.complete();
        owner.take_live(2).expect("no tree is over the bound");
    }
}

//! How children ended that made room before anybody saw it.
//!
//! All owners share one bound. At the bound the owner with the most receipts loses its oldest, so that an
//! owner with no more than an even part of them loses none to another.

use std::collections::{HashMap, VecDeque};

use crate::child::owner::OwnerKey;
use crate::status::Receipt;

/// The receipts of all owners.
#[derive(Debug)]
pub(super) struct Receipts {
    max: usize,
    count: usize,
    of: HashMap<OwnerKey, VecDeque<Receipt>>,
}

impl Receipts {
    /// Returns none, of which `max` are kept.
    pub(super) fn new(max: usize) -> Self {
        Self {
            max,
            count: 0,
            of: HashMap::new(),
        }
    }

    /// Adds the newest of `owner`.
    pub(super) fn push(&mut self, owner: &OwnerKey, receipt: Receipt) {
        if self.max == 0 {
            return;
        }
        self.of.entry(owner.clone()).or_default().push_back(receipt);
        self.count += 1;
        if self.count > self.max {
            self.drop_one(owner);
        }
    }

    /// Drops the oldest of the owner that has the most; of `newest`, if no other has more.
    fn drop_one(&mut self, newest: &OwnerKey) {
        let rank = |(owner, own): &(&OwnerKey, &VecDeque<Receipt>)| (own.len(), *owner == newest);
        let Some(owner) = self.of.iter().max_by_key(rank).map(|(it, _)| it.clone()) else {
            return;
        };
        if let Some(own) = self.of.get_mut(&owner) {
            own.pop_front();
            self.count -= 1;
            if own.is_empty() {
                self.of.remove(&owner);
            }
        }
    }

    /// Returns those of `owner`, oldest first.
    pub(super) fn of(&self, owner: &OwnerKey) -> Vec<Receipt> {
        self.of.get(owner).into_iter().flatten().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::status::ExitStatus;

    fn receipt(id: u64) -> Receipt {
        Receipt {
            id,
            program: "fake".into(),
            status: ExitStatus::Exited(0),
            started_at: SystemTime::UNIX_EPOCH,
            ended_at: SystemTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn the_owner_with_the_most_loses_its_oldest() {
        let [few, many] = ["few", "many"].map(|name| OwnerKey::new(name, ""));
        let mut receipts = Receipts::new(6);
        (1..=3).for_each(|id| receipts.push(&few, receipt(id)));
        (4..=100).for_each(|id| receipts.push(&many, receipt(id)));
        let ids = |owner| {
            receipts
                .of(owner)
                .iter()
                .map(|it| it.id)
                .collect::<Vec<_>>()
        };
        assert_eq!(ids(&few), [1, 2, 3], "an even part");
        assert_eq!(ids(&many), [98, 99, 100]);
    }
}

//! What the host holds for its guests: admitted here, and shown to the operator.
//!
//! A child is charged before it starts, for all that it may leave with the host. Over the share of
//! its owner the owner's oldest ended children make room, as far as that is enough. Over the host's
//! total nobody does: the owner would lose its results because of another.

use super::Registry;
use super::core::Core;
use super::holdings::{Holdings, HostHoldings};
use super::table::GuestKey;
use crate::child::account::{Charge, Descriptors, Full, Need};
use crate::child::owner::OwnerKey;
use crate::error::{Quota, SpawnError};
use crate::grant::Quotas;

impl Registry {
    /// Returns what the host holds for the guests of `component` and `tenant`.
    pub fn holdings(&self, component: &str, tenant: &str) -> Holdings {
        let owner = OwnerKey::new(component, tenant);
        self.core().with_table(|table| table.holdings(&owner))
    }

    /// Returns what the host holds for all guests, and the most that it holds.
    pub fn host_holdings(&self) -> HostHoldings {
        let core = self.core();
        let (bytes, max_bytes) = core.totals().bytes();
        let (descriptors, max_descriptors) = core.totals().descriptors();
        HostHoldings {
            held: Holdings {
                children: core.with_table(|table| table.places()),
                bytes,
                descriptors,
            },
            max: Holdings {
                children: core.max_entries(),
                bytes: max_bytes,
                descriptors: max_descriptors,
            },
        }
    }
}

impl Core {
    /// Takes a place and what `need` says for an admitted child of `guest`. [`Core::insert`] uses
    /// the place, [`Core::give_back_place`] gives it back.
    pub(crate) fn take(
        &self,
        guest: &GuestKey,
        quotas: &Quotas,
        need: Need,
    ) -> Result<(Charge, Descriptors), SpawnError> {
        Ok(self.with_table(|table| table.take(guest, quotas, need))?)
    }

    /// Refuses what [`Core::take`] would refuse now. Takes nothing, and no ended child goes.
    pub(crate) fn may_take(
        &self,
        guest: &GuestKey,
        quotas: &Quotas,
        need: Need,
    ) -> Result<(), SpawnError> {
        Ok(self.with_table(|table| table.may_take(guest, quotas, need))?)
    }

    /// Gives back the place that [`Core::take`] took: nothing started in it.
    pub(crate) fn give_back_place(&self, guest: &GuestKey) {
        self.with_table(|table| table.give_back_place(guest));
    }

    /// Charges `bytes` of a request of `guest` that waits. For a mere question nobody makes room.
    pub(crate) fn hold(
        &self,
        guest: &GuestKey,
        quotas: &Quotas,
        bytes: usize,
    ) -> Result<Charge, SpawnError> {
        let need = Need {
            bytes,
            ..Need::default()
        };
        // Under the lock, so that `Table::take` finds what it has looked up.
        match self.with_table(|_| guest.account().take(quotas.share(), need)) {
            Ok((charge, _)) => Ok(charge),
            Err(Full::Host) => Err(SpawnError::Quota(Quota::HostCapacity)),
            Err(Full::Share(_)) => Err(SpawnError::Quota(Quota::HeldMemory)),
        }
    }

    /// Evicts the oldest ended children of `owner` that hold `lack` together. Returns whether there
    /// were any.
    pub(crate) fn make_room(&self, owner: &OwnerKey, lack: Need) -> bool {
        let evicted = self.with_table(|table| table.evict_holding(owner, lack));
        evicted.iter().for_each(|record| record.discard());
        !evicted.is_empty()
    }
}

//! What the host holds for its guests: admitted here, and shown to the operator.
//!
//! A request is charged before it is decided, for all that it may leave with the host. Over the share of
//! its owner the owner's oldest ended children make room, as far as that is enough; over the host's
//! total nobody does, because what is another's is not the owner's to lose, and its own would be lost
//! because of another.

use std::sync::Arc;

use super::Registry;
use super::core::Core;
use super::table::GuestKey;
use crate::child::account::{Account, Charge, Descriptors, Full, Kind, Share};
use crate::child::owner::OwnerKey;
use crate::error::{Quota, SpawnError};

/// What the host holds for one owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Holdings {
    /// Children that are being started, that run, or that have ended and are kept.
    pub children: usize,
    /// Bytes of captured output, of arguments, and of standard input that no child has read.
    pub bytes: usize,
    /// Open descriptors: pipes, and those by which children are watched.
    pub descriptors: usize,
}

/// What the host holds for all owners together, and the most that it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct HostHoldings {
    /// Of all owners. Memory counts as soon as it is promised: a running child's captures count with
    /// their caps, within its owner's share.
    pub held: Holdings,
    /// The bounds: [`max_entries`](crate::RegistryBuilder::max_entries),
    /// [`max_held_bytes`](crate::RegistryBuilder::max_held_bytes) and
    /// [`max_held_descriptors`](crate::RegistryBuilder::max_held_descriptors).
    pub max: Holdings,
}

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
    /// Holds `bytes` of a request of `guest`.
    pub(crate) fn hold(
        &self,
        guest: &GuestKey,
        share: Share,
        bytes: usize,
    ) -> Result<Charge, SpawnError> {
        self.admit_to(guest, |account| account.hold(share, bytes))
    }

    /// Holds the descriptors of a child of `guest`.
    pub(crate) fn hold_descriptors(
        &self,
        guest: &GuestKey,
        share: Share,
        count: usize,
    ) -> Result<Descriptors, SpawnError> {
        self.admit_to(guest, |account| account.hold_descriptors(share, count))
    }

    /// Promises `bytes` to a capture of a child of `guest`.
    pub(crate) fn promise(
        &self,
        guest: &GuestKey,
        share: Share,
        bytes: u64,
    ) -> Result<Charge, SpawnError> {
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        self.admit_to(guest, |account| account.promise(share, bytes))
    }

    /// Charges the guest's owner, whose ended children make room if its share is full.
    fn admit_to<T>(
        &self,
        guest: &GuestKey,
        charge: impl Fn(&Arc<Account>) -> Result<T, Full>,
    ) -> Result<T, SpawnError> {
        loop {
            let (kind, shortfall) = match charge(guest.account()) {
                Ok(charged) => return Ok(charged),
                Err(Full::Host) => return Err(SpawnError::Quota(Quota::HostCapacity)),
                Err(Full::Share { kind, shortfall }) => (kind, shortfall),
            };
            if !self.make_room(guest.owner(), kind, shortfall) {
                return Err(SpawnError::Quota(match kind {
                    Kind::Memory => Quota::HeldMemory,
                    Kind::Descriptors => Quota::HeldDescriptors,
                }));
            }
        }
    }

    /// Evicts the oldest ended children of `owner` that hold `shortfall` of this kind together.
    /// Returns whether there were any.
    pub(crate) fn make_room(&self, owner: &OwnerKey, kind: Kind, shortfall: usize) -> bool {
        let evicted = self.with_table(|table| table.evict_holding(owner, kind, shortfall));
        let any = !evicted.is_empty();
        for record in evicted {
            self.discard(Some(record));
        }
        any
    }
}

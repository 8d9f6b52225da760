//! A place for a child, what the host holds for it, and which entries make room.
//!
//! All of it is decided at once, under the table's lock, before any entry goes: an owner loses none for a
//! child that the quotas then refuse, least of all because another owner has filled the host.

use super::{Entry, GuestKey, Refusal, Table};
use crate::child::account::{Charge, Descriptors, Full, Need};
use crate::child::owner::OwnerKey;
use crate::error::Quota;
use crate::grant::Quotas;
use crate::registry::ended::Ended;
use crate::registry::usage::Usage;

impl<E: Entry> Table<E> {
    /// Refuses what [`Table::take`] would refuse now. Takes nothing, and no entry goes.
    pub(in crate::registry) fn may_take(
        &self,
        guest: &GuestKey,
        quotas: &Quotas,
        need: Need,
    ) -> Result<(), Refusal> {
        self.would_go(guest, quotas, need).map(drop)
    }

    /// Takes a place and what `need` says for an admitted child. Over its share the owner's oldest
    /// ended entries make room, as many as are enough; where they are not, or where the
    /// host has no more for anybody, nothing is taken and no entry goes.
    pub(in crate::registry) fn take(
        &mut self,
        guest: &GuestKey,
        quotas: &Quotas,
        need: Need,
    ) -> Result<(Charge, Descriptors), Refusal> {
        let share = quotas.share();
        loop {
            for id in self.would_go(guest, quotas, need)? {
                if let Some(entry) = self.evict(id) {
                    entry.discard();
                }
            }
            match guest.account.take(share, need) {
                Ok(taken) => {
                    self.reserved += 1;
                    self.usage(&guest.owner).add_entry();
                    return Ok(taken);
                }
                Err(Full::Host) => return Err(Refusal::Quota(Quota::HostCapacity)),
                // A child of the owner has filled what it was promised meanwhile.
                Err(Full::Share(_)) => {}
            }
        }
    }

    /// Returns which ended entries go when `need` is taken.
    fn would_go(&self, guest: &GuestKey, quotas: &Quotas, need: Need) -> Result<Vec<u64>, Refusal> {
        let share = quotas.share();
        let max_own = usize::try_from(quotas.max_held_children).unwrap_or(usize::MAX);
        let places = usize::from(self.own_places(guest) >= max_own.min(self.caps.entries));
        if places == 0 && self.places() >= self.caps.entries {
            return Err(Refusal::Quota(Quota::HostCapacity));
        }
        let lack = guest.account.lack(share, need);
        let (ids, freed) = self.making_room(&guest.owner, places, lack)?;
        match guest.account.host_has(share, need, freed) {
            true => Ok(ids),
            false => Err(Refusal::Quota(Quota::HostCapacity)),
        }
    }

    /// Gives back the place that [`Table::take`] took. The child is still admitted.
    pub(in crate::registry) fn give_back_place(&mut self, guest: &GuestKey) {
        self.reserved -= 1;
        self.usage(&guest.owner).remove_entry();
    }

    /// Removes as many ended entries of `owner` as hold `lack` together, and returns them; none if all
    /// of them hold less.
    pub(in crate::registry) fn evict_holding(&mut self, owner: &OwnerKey, lack: Need) -> Vec<E> {
        let ids = self.making_room(owner, 0, lack).map(|(ids, _)| ids);
        let ids = ids.unwrap_or_default().into_iter();
        ids.filter_map(|id| self.evict(id)).collect()
    }

    /// Returns which ended entries of `owner` leave `places` and `lack` when they go, and what they
    /// give back. If all of them hold less, none goes: they would be lost for nothing.
    fn making_room(
        &self,
        owner: &OwnerKey,
        places: usize,
        lack: Need,
    ) -> Result<(Vec<u64>, Need), Refusal> {
        let (mut ids, mut freed) = (Vec::new(), Need::default());
        let ended = self.owners.get(owner).map(Usage::ended);
        for id in ended.into_iter().flat_map(Ended::in_order) {
            let (bytes, descriptors) = (
                freed.bytes < lack.bytes,
                freed.descriptors < lack.descriptors,
            );
            if ids.len() >= places && !bytes && !descriptors {
                break;
            }
            let held = self.slots.get(&id).map(|slot| slot.entry.held());
            let held = held.unwrap_or_default();
            if ids.len() < places || bytes && held.bytes > 0 || descriptors && held.descriptors > 0
            {
                ids.push(id);
                freed.bytes += held.bytes;
                freed.descriptors += held.descriptors;
            }
        }
        let refusal = match () {
            () if ids.len() < places => Quota::LiveChildren,
            () if freed.bytes < lack.bytes => Quota::HeldMemory,
            () if freed.descriptors < lack.descriptors => Quota::HeldDescriptors,
            () => return Ok((ids, freed)),
        };
        Err(Refusal::Quota(refusal))
    }

    /// Returns how many places the guest's owner has: by its entries, and by its children that are
    /// being started.
    fn own_places(&self, guest: &GuestKey) -> usize {
        self.owners.get(&guest.owner).map_or(0, Usage::entries)
    }
}

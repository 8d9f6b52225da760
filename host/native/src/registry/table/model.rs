//! A simple model of the table: a list of children, from which it computes each count.
//!
//! The spawn rate is left out: it depends on the clock and has tests of its own.

use std::collections::BTreeSet;

use super::tests::Fake;
use super::*;

pub(super) const CAPS: Caps = Caps {
    entries: 5,
    receipts: 3,
    detached: 2,
};

#[derive(Debug, Clone)]
pub(super) struct Child {
    pub(super) id: u64,
    pub(super) owner: OwnerKey,
    pub(super) guest: Option<Scope>,
    pub(super) phase: SlotPhase,
    pub(super) observed: bool,
    pub(super) released: bool,
    pub(super) key: Option<DetachKey>,
}

#[derive(Debug)]
pub(super) struct Guest {
    pub(super) key: GuestKey,
    pub(super) total: u64,
}

#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) closed: bool,
    pub(super) guests: Vec<Guest>,
    /// Reservations. A guest does not leave while it holds one.
    pub(super) places: Vec<Scope>,
    pub(super) children: Vec<Child>,
    pub(super) receipts: Vec<(OwnerKey, u64)>,
    pub(super) next: u64,
}

impl Model {
    pub(super) fn owner_of(&self, scope: Scope) -> &OwnerKey {
        let guest = self.guests.iter().find(|guest| guest.key.scope == scope);
        guest.expect("it has not left").key.owner()
    }

    pub(super) fn live(&self, owner: &OwnerKey) -> u32 {
        let places = self.places.iter();
        let reserved = places.filter(|scope| self.owner_of(**scope) == owner);
        let running = self.of(owner, SlotPhase::Running);
        u32::try_from(reserved.count() + running).expect("few")
    }

    pub(super) fn of(&self, owner: &OwnerKey, phase: SlotPhase) -> usize {
        let children = self.children.iter();
        let of = |child: &&Child| child.owner == *owner && child.phase == phase;
        children.filter(of).count()
    }

    pub(super) fn unfinished(&self) -> BTreeSet<u64> {
        let children = self.children.iter();
        let unfinished = children.filter(|child| child.phase != SlotPhase::Complete);
        unfinished.map(|child| child.id).collect()
    }

    pub(super) fn remove(&mut self, id: u64) {
        self.children.retain(|child| child.id != id);
    }

    /// Returns the complete children of `owner` in the order in which they make room.
    pub(super) fn in_order(&self, owner: &OwnerKey) -> Vec<u64> {
        let complete = self.children.iter();
        let own = |child: &&Child| child.phase == SlotPhase::Complete && child.owner == *owner;
        let mut own: Vec<_> = complete.filter(own).collect();
        own.sort_by_key(|child| (!child.observed, child.id));
        own.iter().map(|child| child.id).collect()
    }

    /// Returns those that go for `lack`.
    pub(super) fn holding(&self, owner: &OwnerKey, lack: Need) -> Vec<u64> {
        let (mut ids, mut bytes, mut descriptors) = (Vec::new(), 0, 0);
        for id in self.in_order(owner) {
            let held = Fake(id).held();
            if bytes < lack.bytes || descriptors < lack.descriptors && held.descriptors > 0 {
                ids.push(id);
                bytes += held.bytes;
                descriptors += held.descriptors;
            }
        }
        let enough = bytes >= lack.bytes && descriptors >= lack.descriptors;
        if enough { ids } else { Vec::new() }
    }

    pub(super) fn evict(&mut self, id: u64) {
        let child = self.children.iter().find(|child| child.id == id);
        let child = child.expect("it is there");
        if !child.observed {
            let owner = child.owner.clone();
            self.receipts.push((owner.clone(), id));
            if self.receipts.len() > CAPS.receipts {
                // Two owners: the one with more loses its oldest, at a draw the newest's.
                let count = |of: &OwnerKey| self.receipts.iter().filter(|(it, _)| it == of).count();
                let own = count(&owner);
                let loses_own = 2 * own >= self.receipts.len();
                let oldest = self
                    .receipts
                    .iter()
                    .position(|(of, _)| (*of == owner) == loses_own);
                self.receipts.remove(oldest.expect("it has some"));
            }
        }
        self.remove(id);
    }

    pub(super) fn admit(
        &mut self,
        scope: Scope,
        (max_live, max_total, max_held): (u32, u64, u32),
    ) -> Result<(), Refusal> {
        if self.closed {
            return Err(Refusal::Shutdown);
        }
        let unfinished = self.unfinished().len() + self.places.len();
        if unfinished >= CAPS.entries {
            return Err(Refusal::Quota(Quota::HostCapacity));
        }
        let owner = self.owner_of(scope).clone();
        // The bound on ended trees, 64, is out of reach with so few entries.
        if self.live(&owner) >= max_live {
            return Err(Refusal::Quota(Quota::LiveChildren));
        }
        let guest = self
            .guests
            .iter_mut()
            .find(|guest| guest.key.scope == scope);
        let guest = guest.expect("it has not left");
        if guest.total >= max_total {
            return Err(Refusal::Quota(Quota::TotalChildren));
        }
        let share = usize::try_from(max_held).expect("few").min(CAPS.entries);
        let own = self
            .children
            .iter()
            .filter(|child| child.owner == owner)
            .count();
        let starting = self
            .places
            .iter()
            .filter(|scope| *self.owner_of(**scope) == owner);
        if own + starting.count() >= share {
            let oldest = self.in_order(&owner).first().copied();
            let oldest = oldest.ok_or(Refusal::Quota(Quota::LiveChildren))?;
            self.evict(oldest);
        } else if self.children.len() + self.places.len() >= CAPS.entries {
            return Err(Refusal::Quota(Quota::HostCapacity));
        }
        let guest = self
            .guests
            .iter_mut()
            .find(|guest| guest.key.scope == scope);
        guest.expect("it has not left").total += 1;
        self.places.push(scope);
        Ok(())
    }

    pub(super) fn detach(&mut self, id: u64, key: DetachKey) -> Result<Option<u64>, Refusal> {
        if self.closed {
            return Err(Refusal::Shutdown);
        }
        let child = self.children.iter().find(|child| child.id == id);
        let owner = child.ok_or(Refusal::NoEntry)?.owner.clone();
        let keyed = |child: &&Child| child.owner == owner && child.key.is_some();
        let mut evicted = None;
        if self.children.iter().filter(keyed).count() >= CAPS.detached {
            let complete = |child: &&Child| child.phase == SlotPhase::Complete;
            let oldest = self.children.iter().filter(keyed).filter(complete);
            let oldest = oldest.map(|child| child.id).min();
            let oldest = oldest.ok_or(Refusal::Quota(Quota::LiveChildren))?;
            self.evict(oldest);
            evicted = Some(oldest);
        }
        let child = self.children.iter_mut().find(|child| child.id == id);
        let child = child.expect("only an ended child with a key makes room");
        child.key = Some(key);
        child.guest = None;
        Ok(evicted)
    }
}

impl Model {
    pub(super) fn place(&self, number: usize) -> Option<(usize, GuestKey)> {
        let index = number.checked_rem(self.places.len())?;
        let scope = self.places[index];
        let guest = self.guests.iter().find(|guest| guest.key.scope == scope);
        Some((index, guest.expect("it has not left").key.clone()))
    }

    pub(super) fn any(&mut self, number: usize) -> Option<&mut Child> {
        let index = number.checked_rem(self.children.len())?;
        self.children.get_mut(index)
    }

    pub(super) fn choose(&mut self, number: usize, phase: SlotPhase) -> Option<&mut Child> {
        let in_phase = self.children.iter().filter(|child| child.phase == phase);
        let index = number.checked_rem(in_phase.count())?;
        let mut in_phase = self
            .children
            .iter_mut()
            .filter(|child| child.phase == phase);
        in_phase.nth(index)
    }
}

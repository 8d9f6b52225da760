//! The entries, owners and guests of a registry, and every count of them.
//!
//! Only the verbs below change them. They take `&mut self` and touch no process, no
//! runtime and no clock, so that the counts can be tested against a model and one
//! lock around the table protects all of them.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Instant;

use super::holdings::Holdings;
use super::key::DetachKey;
use super::owners::Owners;
use super::receipts::Receipts;
use super::usage::Usage;
use crate::child::account::{Account, Need, Totals};
use crate::child::owner::OwnerKey;
use crate::error::{Quota, SpawnError};
use crate::grant::Quotas;
use crate::launch::Scope;
use crate::status::Receipt;

/// What the table keeps of a child.
pub(super) trait Entry: Clone {
    /// Returns how the child ended; none while it runs.
    fn receipt(&self) -> Option<Receipt>;

    /// Returns what its owner's account has back once it is discarded.
    fn held(&self) -> Need;

    /// Drops what is held for it.
    fn discard(&self);
}

/// A guest: its number, and whose quotas its children count against.
#[derive(Debug, Clone)]
pub(crate) struct GuestKey {
    pub(super) scope: Scope,
    pub(super) owner: OwnerKey,
    account: Arc<Account>,
}

impl GuestKey {
    /// The guest's number, for its launcher.
    pub(crate) fn scope(&self) -> Scope {
        self.scope
    }

    pub(crate) fn owner(&self) -> &OwnerKey {
        &self.owner
    }

    /// What the host holds for its owner.
    pub(crate) fn account(&self) -> &Arc<Account> {
        &self.account
    }
}

/// Why there is no place for a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The registry is shut down.
    Shutdown,
    /// A cap is reached.
    Quota(Quota),
    /// The table has no such child.
    NoEntry,
}

impl From<Refusal> for SpawnError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Shutdown => Self::Shutdown,
            Refusal::Quota(quota) => Self::Quota(quota),
            Refusal::NoEntry => Self::NoEntry,
        }
    }
}

/// The caps of a whole registry.
#[derive(Debug, Clone, Copy)]
pub(super) struct Caps {
    /// Entries, running and ended together.
    pub(super) entries: usize,
    /// Receipts of entries that made room unobserved.
    pub(super) receipts: usize,
    /// Detached children of one owner that nobody has attached to.
    pub(super) detached: usize,
}

#[derive(Debug)]
pub(super) struct Table<E> {
    caps: Caps,
    closed: bool,
    slots: HashMap<u64, Slot<E>>,
    /// Places of children that are being started.
    reserved: usize,
    /// Children that are being started or whose tree is not gone yet.
    unfinished: usize,
    owners: Owners,
    guests: HashMap<Scope, GuestUsage>,
    next_scope: u64,
    receipts: Receipts,
}

/// One child.
#[derive(Debug)]
struct Slot<E> {
    entry: E,
    owner: OwnerKey,
    /// The guest that it ends with, while it runs; a detached child has none.
    guest: Option<Scope>,
    phase: SlotPhase,
    /// Somebody has seen how it ended.
    observed: bool,
    /// The handle is gone: nothing is kept past the end.
    released: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SlotPhase {
    Running,
    /// The leader has ended, its tree is not gone yet.
    Ended,
    Complete,
}

#[derive(Debug, Default)]
struct GuestUsage {
    /// Children started so far, and being started.
    total: u64,
    /// The running children that end with the guest.
    running: BTreeSet<u64>,
}

impl<E: Entry> Table<E> {
    pub(super) fn new(caps: Caps, totals: Arc<Totals>) -> Self {
        Self {
            caps,
            closed: false,
            slots: HashMap::new(),
            reserved: 0,
            unfinished: 0,
            owners: Owners::new(totals),
            guests: HashMap::new(),
            next_scope: 1,
            receipts: Receipts::new(caps.receipts),
        }
    }

    /// Refuses children from now on.
    pub(super) fn close(&mut self) {
        self.closed = true;
    }

    /// Returns how many entries there are, running and ended.
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Returns how many places are taken: by entries, and by children that are being started.
    pub(super) fn places(&self) -> usize {
        self.slots.len() + self.reserved
    }

    /// Returns what is held for `owner`.
    pub(super) fn holdings(&self, owner: &OwnerKey) -> Holdings {
        let usage = self.owners.get(owner);
        usage.map(Usage::holdings).unwrap_or_default()
    }

    /// Returns whether no child is being started and every tree is gone.
    pub(super) fn is_idle(&self) -> bool {
        self.unfinished == 0
    }

    /// Adds a guest of `owner`.
    pub(super) fn enter(&mut self, owner: OwnerKey, now: Instant) -> GuestKey {
        let scope = Scope(self.next_scope);
        self.next_scope += 1;
        self.owners.sweep(now);
        let usage = self.owners.usage(&owner);
        usage.enter();
        let account = Arc::clone(usage.account());
        self.guests.insert(scope, GuestUsage::default());
        GuestKey {
            scope,
            owner,
            account,
        }
    }

    /// Removes a guest. Its children are the caller's to end first.
    pub(super) fn leave(&mut self, guest: &GuestKey) {
        self.guests.remove(&guest.scope);
        self.usage(&guest.owner).leave();
        self.forget_unused(&guest.owner);
    }

    /// Counts a valid request against the owner's rate, whatever becomes of it, and
    /// counts one more child as live and in total.
    ///
    /// [`Table::take`] takes its place; [`Table::cancel`] gives back what nothing comes of.
    pub(super) fn admit(
        &mut self,
        guest: &GuestKey,
        quotas: &Quotas,
        now: Instant,
    ) -> Result<(), Refusal> {
        self.charge_rate(guest, quotas, now)?;
        self.count(guest, quotas)
    }

    /// Counts a request against the owner's rate, whatever becomes of it.
    pub(super) fn charge_rate(
        &mut self,
        guest: &GuestKey,
        quotas: &Quotas,
        now: Instant,
    ) -> Result<(), Refusal> {
        if self.closed {
            return Err(Refusal::Shutdown);
        }
        let rate = self.usage(&guest.owner).charge_rate(quotas.rate, now);
        rate.map_err(Refusal::Quota)
    }

    /// Does what [`Table::admit`] does for a request whose rate is charged already.
    pub(super) fn readmit(&mut self, guest: &GuestKey, quotas: &Quotas) -> Result<(), Refusal> {
        if self.closed {
            return Err(Refusal::Shutdown);
        }
        self.count(guest, quotas)
    }

    fn count(&mut self, guest: &GuestKey, quotas: &Quotas) -> Result<(), Refusal> {
        if self.unfinished >= self.caps.entries {
            return Err(Refusal::Quota(Quota::HostCapacity));
        }
        let live = self.usage(&guest.owner).take_live(quotas.max_live);
        live.map_err(Refusal::Quota)?;
        let own = self.guests.get_mut(&guest.scope);
        if own.as_ref().map_or(0, |own| own.total) >= quotas.max_total {
            self.usage(&guest.owner).give_back();
            return Err(Refusal::Quota(Quota::TotalChildren));
        }
        if let Some(own) = own {
            own.total += 1;
        }
        self.unfinished += 1;
        Ok(())
    }

    /// Gives back what [`Table::admit`] took: nothing started.
    pub(super) fn cancel(&mut self, guest: &GuestKey) {
        self.unfinished -= 1;
        if let Some(own) = self.guests.get_mut(&guest.scope) {
            own.total -= 1;
        }
        self.usage(&guest.owner).give_back();
        self.forget_unused(&guest.owner);
    }

    /// Puts the started child `id` in the place that was taken for it. Returns
    /// whether the registry was closed meanwhile: the child is then the caller's
    /// to kill, because the shutdown did not see it.
    pub(super) fn insert(&mut self, id: u64, guest: &GuestKey, entry: E) -> bool {
        self.reserved -= 1;
        let slot = Slot {
            entry,
            owner: guest.owner.clone(),
            guest: Some(guest.scope),
            phase: SlotPhase::Running,
            observed: false,
            released: false,
        };
        self.slots.insert(id, slot);
        if let Some(own) = self.guests.get_mut(&guest.scope) {
            own.running.insert(id);
        }
        self.closed
    }

    /// The leader of the child `id` has ended: it is live no longer, and its guest
    /// has nothing left to end.
    pub(super) fn end(&mut self, id: u64) {
        let Some(slot) = self.slots.get_mut(&id) else {
            return;
        };
        slot.phase = SlotPhase::Ended;
        let owner = slot.owner.clone();
        self.leave_guest(id);
        self.usage(&owner).end();
    }

    /// The tree of the child `id` is gone and its output complete. Returns its
    /// entry where the handle was released before: it is not kept.
    pub(super) fn complete(&mut self, id: u64) -> Option<E> {
        let slot = self.slots.get_mut(&id)?;
        slot.phase = SlotPhase::Complete;
        let (owner, observed, released) = (slot.owner.clone(), slot.observed, slot.released);
        self.unfinished -= 1;
        self.usage(&owner).complete();
        if released {
            return self.remove(id);
        }
        self.usage(&owner).ended_mut().insert(id, observed);
        None
    }

    /// Somebody has seen how the child `id` ended: it makes room before others.
    pub(super) fn observe(&mut self, id: u64) {
        let Some(slot) = self.slots.get_mut(&id) else {
            return;
        };
        slot.observed = true;
        let owner = slot.owner.clone();
        self.usage(&owner).ended_mut().observe(id);
    }

    /// The handle of the child `id` is gone. Returns its entry if it is complete;
    /// else [`Table::complete`] does.
    pub(super) fn release(&mut self, id: u64) -> Option<E> {
        let slot = self.slots.get_mut(&id)?;
        slot.released = true;
        if slot.phase == SlotPhase::Complete {
            return self.remove(id);
        }
        let owner = slot.owner.clone();
        self.usage(&owner).revoke(id);
        None
    }

    /// Leaves the child `id` to the registry under `key`. Returns the oldest ended
    /// detached child of the same owner where that had to make room.
    pub(super) fn detach(&mut self, id: u64, key: DetachKey) -> Result<Option<E>, Refusal> {
        if self.closed {
            return Err(Refusal::Shutdown);
        }
        let slot = self.slots.get(&id).ok_or(Refusal::NoEntry)?;
        let owner = slot.owner.clone();
        let mut evicted = None;
        if self.usage(&owner).keys().len() >= self.caps.detached {
            let oldest = self.oldest_detached(&owner);
            let oldest = oldest.ok_or(Refusal::Quota(Quota::LiveChildren))?;
            evicted = self.evict(oldest);
        }
        self.usage(&owner).add_key(key, id);
        self.leave_guest(id);
        Ok(evicted)
    }

    /// Returns whether `key` still names the child `id`.
    pub(super) fn is_key_of(&self, id: u64, key: &DetachKey) -> bool {
        let slot = self.slots.get(&id);
        let usage = slot.and_then(|slot| self.owners.get(&slot.owner));
        usage.is_some_and(|usage| usage.keys().get(key) == Some(&id))
    }

    /// Uses `key` up, and makes its child one of `guest`, whose owner must be the
    /// child's.
    pub(super) fn attach(&mut self, guest: &GuestKey, key: &DetachKey) -> Option<E> {
        let id = self.owners.get_mut(&guest.owner)?.take_key(key)?;
        let slot = self.slots.get_mut(&id)?;
        if slot.phase == SlotPhase::Running {
            slot.guest = Some(guest.scope);
            let own = self.guests.entry(guest.scope).or_default();
            own.running.insert(id);
        }
        Some(slot.entry.clone())
    }

    /// Returns every entry whose tree may still run.
    pub(super) fn unfinished(&self) -> Vec<E> {
        let unfinished = |slot: &&Slot<E>| slot.phase != SlotPhase::Complete;
        let slots = self.slots.values().filter(unfinished);
        slots.map(|slot| slot.entry.clone()).collect()
    }

    /// Returns the running children that end with `guest`, oldest first.
    pub(super) fn running_of(&self, guest: &GuestKey) -> Vec<E> {
        let running = self.guests.get(&guest.scope).map(|own| &own.running);
        let slots = running.into_iter().flatten();
        slots
            .filter_map(|id| Some(self.slots.get(id)?.entry.clone()))
            .collect()
    }

    /// Returns what is left of `owner`'s children that made room unobserved, oldest first.
    pub(super) fn receipts(&self, owner: &OwnerKey) -> Vec<Receipt> {
        self.receipts.of(owner)
    }

    fn usage(&mut self, owner: &OwnerKey) -> &mut Usage {
        self.owners.usage(owner)
    }

    fn forget_unused(&mut self, owner: &OwnerKey) {
        self.owners.forget_unused(owner);
    }

    /// Takes the child `id` off its guest's running ones.
    fn leave_guest(&mut self, id: u64) {
        let guest = self.slots.get_mut(&id).and_then(|slot| slot.guest.take());
        if let Some(own) = guest.and_then(|guest| self.guests.get_mut(&guest)) {
            own.running.remove(&id);
        }
    }

    /// The oldest ended child of `owner` that has a key.
    fn oldest_detached(&self, owner: &OwnerKey) -> Option<u64> {
        let is_complete = |id: &u64| {
            let slot = self.slots.get(id);
            slot.is_some_and(|slot| slot.phase == SlotPhase::Complete)
        };
        let keys = self.owners.get(owner)?.keys().values();
        keys.copied().filter(is_complete).min()
    }

    /// Removes an ended entry, and leaves a receipt where nobody has observed it.
    fn evict(&mut self, id: u64) -> Option<E> {
        let slot = self.slots.get(&id)?;
        if !slot.observed
            && let Some(receipt) = slot.entry.receipt()
        {
            self.receipts.push(&slot.owner, receipt);
        }
        self.remove(id)
    }

    fn remove(&mut self, id: u64) -> Option<E> {
        let slot = self.slots.remove(&id)?;
        let usage = self.usage(&slot.owner);
        usage.remove_entry();
        usage.ended_mut().remove(id);
        usage.revoke(id);
        self.forget_unused(&slot.owner);
        Some(slot.entry)
    }
}

mod room;

#[cfg(test)]
mod agreement;
#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;

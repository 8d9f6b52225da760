//! What a request holds of the registry while it is decided on and launched.

use std::sync::Arc;

use super::{Member, files};
use crate::child::account::{Charge, Descriptors, Need};
use crate::child::record::Record;
use crate::error::SpawnError;
use crate::launch::Plan;
use crate::registry::Core;

/// The descriptors that a spawn opens at most, those for a moment included: 16.
const SPAWN_DESCRIPTORS: usize = 16;

/// The quotas and the place of one child, given back where nothing starts.
pub(super) struct Permit {
    guest: Arc<Member>,
    /// What the request takes while it waits for a thread.
    waits: Option<Charge>,
    has_place: bool,
    handed_over: bool,
}

impl Permit {
    /// Charges the rate, and takes the quotas.
    pub(super) fn admit(guest: &Arc<Member>) -> Result<Self, SpawnError> {
        let core = guest.registry.core();
        core.admit(&guest.key, guest.grant.quotas())?;
        Ok(Self::new(guest))
    }

    /// Takes the quotas for a request whose rate is charged already.
    pub(super) fn readmit(guest: &Arc<Member>) -> Result<Self, SpawnError> {
        let core = guest.registry.core();
        core.readmit(&guest.key, guest.grant.quotas())?;
        Ok(Self::new(guest))
    }

    /// The guest that requests the child.
    pub(super) fn guest(&self) -> &Arc<Member> {
        &self.guest
    }

    /// Keeps what the request takes while it waits for a thread, until the child takes it.
    pub(super) fn keep(&mut self, waits: Charge) {
        self.waits = Some(waits);
    }

    pub(super) fn core(&self) -> &Arc<Core> {
        self.guest.registry.core()
    }

    fn new(guest: &Arc<Member>) -> Self {
        Self {
            guest: Arc::clone(guest),
            waits: None,
            has_place: false,
            handed_over: false,
        }
    }

    /// Refuses a child with files that [`Permit::take`] would refuse.
    pub(super) fn may_take(&mut self, plan: &Plan, need: Need) -> Result<(), SpawnError> {
        self.give_back_place();
        // The child is charged for the same bytes.
        self.waits = None;
        match files::are_named(plan) {
            true => {
                let (key, quotas) = (&self.guest.key, self.guest.grant.quotas());
                self.core().may_take(key, quotas, need)
            }
            false => Ok(()),
        }
    }

    /// Takes a place for the child, and what the host is to hold for it.
    pub(super) fn take(&mut self, need: Need) -> Result<(Charge, Descriptors), SpawnError> {
        self.give_back_place();
        // The child is charged for the same bytes.
        self.waits = None;
        let (key, quotas) = (&self.guest.key, self.guest.grant.quotas());
        let taken = self.core().take(key, quotas, need)?;
        self.has_place = true;
        Ok(taken)
    }

    fn give_back_place(&mut self) {
        if std::mem::take(&mut self.has_place) {
            self.core().give_back_place(&self.guest.key);
        }
    }

    /// Closes pipes of the owner's oldest ended children, where the process has no descriptor left.
    /// Returns whether there were any.
    pub(super) fn make_room(&self) -> bool {
        let lack = |descriptors| Need {
            descriptors,
            ..Need::default()
        };
        let owner = self.guest.key.owner();
        self.core().make_room(owner, lack(SPAWN_DESCRIPTORS))
            || self.core().make_room(owner, lack(1))
    }

    /// The child runs: its record gives the place back from now on.
    pub(super) fn hand_over(mut self, record: &Arc<Record>) {
        self.handed_over = true;
        self.core().insert(&self.guest.key, record);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if !self.handed_over {
            self.give_back_place();
            self.core().cancel(&self.guest.key);
        }
    }
}

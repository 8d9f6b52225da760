//! Children without a guest: left to the registry under a key, taken up again.
//!
//! A host that makes a store for each call ends its guest with the call. What is
//! to go on then is the registry's, under a key that only the same owner can
//! use, for as long as the grant says. The attach uses the key up, so that of
//! two who attach at once one gets the child and the other is told what anybody
//! is told who has no such key: that it does not exist.

use std::sync::Arc;
use std::time::Instant;

use super::{Shared, State, is_retained};
use crate::child::Child;
use crate::entry::Entry;
use crate::error::{Denial, DeniedItem, LaunchError, Quota, SpawnError, Stage};
use crate::event::EventKind;
use crate::grant::Detach;
use crate::guest::Guest;
use crate::key::Key;
use crate::limits::MAX_DETACHED;
use crate::owner::OwnerKey;

/// Leaves a child to the registry; `own` is where its handle keeps the key.
pub(crate) fn detach(
    shared: &Shared,
    entry: &Entry,
    terms: Detach,
    own: &parking_lot::Mutex<Option<Key>>,
) -> Result<Key, SpawnError> {
    let result = try_detach(shared, entry, terms, own);
    let kind = match &result {
        Ok((key, false)) => return Ok(*key),
        Ok(_) => EventKind::Detached {
            id: entry.id,
            max_life_seconds: terms.max_life.as_secs_f64(),
        },
        Err(error) => EventKind::refused(error),
    };
    shared.emit(&entry.owner.component, &entry.program, &entry.args, || kind);
    result.map(|(key, _)| key)
}

/// Returns the key, and whether it is new.
fn try_detach(
    shared: &Shared,
    entry: &Entry,
    terms: Detach,
    own: &parking_lot::Mutex<Option<Key>>,
) -> Result<(Key, bool), SpawnError> {
    if !terms.allow {
        let mut denial = Denial::new(
            DeniedItem::Detach,
            "a child of this component may not outlive its guest",
        );
        denial.would_allow = Some("detach = { allow = true }".into());
        return Err(denial.into());
    }
    let key = Key::random().map_err(|error| LaunchError::new(Stage::Key, error))?;
    let mut own = own.lock();
    if let Some(key) = *own {
        let known = shared.state.lock().names(&entry.owner, &key, entry.id);
        return known.then_some((key, false)).ok_or(SpawnError::NoEntry);
    }
    shared.admit_key(entry, key)?;
    entry.holder.leave(entry.id);
    entry.set_lifetime(Instant::now().checked_add(terms.max_life));
    *own = Some(key);
    Ok((key, true))
}

/// Takes up the child of `guest`'s owner that has this key.
pub(crate) fn attach(guest: &Guest, key: &str) -> Result<Child, SpawnError> {
    let shared = guest.registry.shared();
    let entry = Key::parse(key)
        .and_then(|key| shared.state.lock().take_key(&guest.owner, &key))
        .ok_or(SpawnError::NoEntry)?;
    entry.set_lifetime(None);
    entry.holder.enter(&entry, &guest.running);
    shared.emit(&entry.owner.component, &entry.program, &entry.args, || {
        EventKind::Attached { id: entry.id }
    });
    Ok(Child::new(
        entry,
        guest.registry.clone(),
        guest.grant.detach(),
    ))
}

impl Shared {
    /// Gives `entry` a key. An owner at its bound loses the oldest that has ended.
    fn admit_key(&self, entry: &Entry, key: Key) -> Result<(), SpawnError> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(SpawnError::Shutdown);
        }
        if !state.entries.contains_key(&entry.id) {
            // It has ended and made room: there is nothing to keep.
            return Err(SpawnError::NoEntry);
        }
        if state.owner(&entry.owner).keys.len() >= MAX_DETACHED {
            let oldest = state
                .oldest_detached(&entry.owner)
                .ok_or(SpawnError::Quota(Quota::LiveChildren))?;
            self.let_go(&mut state, oldest);
        }
        state.owner(&entry.owner).keys.insert(key, entry.id);
        Ok(())
    }
}

impl State {
    fn names(&self, owner: &OwnerKey, key: &Key, id: u64) -> bool {
        let owner = self.owners.get(owner);
        owner.and_then(|owner| owner.keys.get(key)) == Some(&id)
    }

    fn take_key(&mut self, owner: &OwnerKey, key: &Key) -> Option<Arc<Entry>> {
        let id = self.owners.get_mut(owner)?.keys.remove(key)?;
        self.entries.get(&id).cloned()
    }

    /// The oldest ended child of `owner` that has a key.
    fn oldest_detached(&self, owner: &OwnerKey) -> Option<u64> {
        let keys = self.owners.get(owner)?.keys.values();
        keys.copied().filter(|&id| is_retained(self, id)).min()
    }
}

//! The sessions that guests have, by guest and profile.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::instance::Session;
use super::profile::Profile;
use crate::launch::{LaunchError, Scope, Stage};
use crate::sandbox::sys::linux::server::ReservedPair;
use crate::shortage::Shortage;

/// Sessions of one guest at once; each takes some hundred KiB of kernel memory, and a
/// grant has a handful of profiles.
pub(crate) const MAX_SESSIONS: usize = 8;

/// The sessions of all guests. Sessions are never dropped under the lock: ending one takes a few
/// system calls.
#[derive(Debug, Default)]
pub(super) struct Slots {
    all: Mutex<HashMap<Scope, Vec<Slot>>>,
    /// For the question whether a session can end.
    reserved: ReservedPair,
}

#[derive(Debug)]
struct Slot {
    profile: Profile,
    session: Arc<Session>,
}

impl Slots {
    /// Returns the session of `profile`, if the guest has one.
    pub(super) fn find(&self, scope: Scope, profile: &Profile) -> Option<Arc<Session>> {
        let all = self.all.lock();
        let slots = all.get(&scope)?;
        let slot = slots.iter().find(|slot| slot.profile == *profile)?;
        slot.session.note_use();
        Some(Arc::clone(&slot.session))
    }

    /// Adds a session, unless there is one of its profile by now.
    ///
    /// # Errors
    ///
    /// The guest has as many sessions as it may.
    pub(super) fn insert(
        &self,
        scope: Scope,
        profile: &Profile,
        session: Arc<Session>,
    ) -> Result<(), LaunchError> {
        let mut all = self.all.lock();
        let slots = all.entry(scope).or_default();
        if slots.iter().any(|slot| slot.profile == *profile) {
            return Ok(());
        }
        if slots.len() >= MAX_SESSIONS {
            return Err(all_in_use());
        }
        slots.push(Slot {
            profile: profile.clone(),
            session,
        });
        drop(all);
        self.reserved.fill();
        Ok(())
    }

    /// Makes room for one more session of a guest, if its sessions are as many as it may have: removes the oldest that
    /// has no child.
    ///
    /// # Errors
    ///
    /// All have children.
    pub(super) fn make_room(&self, scope: Scope) -> Result<(), LaunchError> {
        let mut all = self.all.lock();
        let Some(slots) = all.get_mut(&scope) else {
            return Ok(());
        };
        if slots.len() < MAX_SESSIONS {
            return Ok(());
        }
        let has_no_child = |slot: &Slot| Arc::strong_count(&slot.session) == 1;
        let index = slots.iter().position(has_no_child).ok_or_else(all_in_use)?;
        let removed = slots.remove(index);
        drop(all);
        drop(removed);
        Ok(())
    }

    /// Removes a session, so that it is not found again.
    pub(super) fn remove(&self, scope: Scope, session: &Arc<Session>) {
        let is_same = |slot: &mut Slot| Arc::ptr_eq(&slot.session, session);
        let removed = self.extract(scope, is_same);
        drop(removed);
    }

    /// Removes all sessions of a guest.
    pub(super) fn close(&self, scope: Scope) {
        let slots = self.all.lock().remove(&scope);
        drop(slots);
    }

    /// Removes the sessions that have had no child for `time`, and in which nothing is left, but the one of `except`.
    /// Of those in which something is left, the free servers end. Returns what was removed, and whether any servers have ended.
    #[must_use]
    pub(super) fn take_idle(
        &self,
        time: Duration,
        except: Option<(Scope, &Profile)>,
    ) -> (Vec<Arc<Session>>, bool) {
        let is_idle = |slot: &Slot, references| {
            Arc::strong_count(&slot.session) == references && slot.session.idle_time() >= time
        };
        let is_other = |scope: Scope, slot: &Slot| {
            except.is_none_or(|(other, profile)| other != scope || *profile != slot.profile)
        };
        let candidates: Vec<_> = {
            let all = self.all.lock();
            let slots = all
                .iter()
                .flat_map(|(scope, slots)| slots.iter().map(|slot| (*scope, slot)));
            let idle = slots.filter(|(scope, slot)| is_idle(slot, 1) && is_other(*scope, slot));
            idle.map(|(scope, slot)| (scope, Arc::downgrade(&slot.session)))
                .collect()
        };
        let (mut taken, mut have_ended) = (Vec::new(), false);
        for (scope, session) in candidates {
            let Some(session) = session.upgrade() else {
                continue;
            };
            // Not under the lock: it is a request to the session.
            let has_state = self
                .reserved
                .take()
                .map_or(true, |sockets| session.has_state(sockets));
            self.reserved.fill();
            if has_state {
                have_ended |= session.end_free_servers();
                continue;
            }
            // Unless it was used meanwhile: the second reference is the one here.
            let is_still_idle =
                |slot: &mut Slot| Arc::ptr_eq(&slot.session, &session) && is_idle(slot, 2);
            let removed = self.extract(scope, is_still_idle);
            if !removed.is_empty() {
                drop(removed);
                taken.push(session);
            }
        }
        (taken, have_ended)
    }

    fn extract(&self, scope: Scope, which: impl FnMut(&mut Slot) -> bool) -> Vec<Slot> {
        let mut all = self.all.lock();
        let Some(slots) = all.get_mut(&scope) else {
            return Vec::new();
        };
        let removed = slots.extract_if(.., which).collect();
        if slots.is_empty() {
            all.remove(&scope);
        }
        removed
    }

    /// Returns whether no guest has a session.
    pub(super) fn is_empty(&self) -> bool {
        self.all.lock().is_empty()
    }

    /// Returns the sessions of a guest, the oldest first.
    pub(super) fn sessions(&self, scope: Scope) -> Vec<Arc<Session>> {
        let all = self.all.lock();
        let slots = all.get(&scope).into_iter().flatten();
        slots.map(|slot| Arc::clone(&slot.session)).collect()
    }
}

fn all_in_use() -> LaunchError {
    LaunchError::new(Stage::Namespaces, Shortage::Sessions.into())
}

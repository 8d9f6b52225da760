//! The sessions of each guest, one for every profile.
//!
//! A guest's first child of a profile makes the session, its later ones find it.
//! No session is shared between guests: what one leaves in `/tmp` is nobody
//! else's. A session ends when its guest has gone (or its place was needed) and
//! the last child in it has ended.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use rustix::io::Errno;

use super::child::SessionChild;
use super::profile::Profile;
use super::start::Session;
use crate::launch::{ChildStdio, LaunchError, Plan, Scope, Stage};
use crate::sandbox::sys::linux::spawner::Spawner;

/// Sessions of one guest at once: 8, some hundred KiB of kernel memory each. A
/// grant has a handful of confinements.
const MAX_SESSIONS: usize = 8;

/// The sessions of all guests.
#[derive(Debug, Default)]
pub(crate) struct Sessions(Mutex<HashMap<Scope, Vec<Place>>>);

#[derive(Debug)]
struct Place {
    profile: Profile,
    session: Arc<Session>,
}

impl Sessions {
    /// Starts what `plan` says in the session of its profile, made now if need be.
    pub(crate) fn launch(
        &self,
        spawner: &Spawner,
        scope: Scope,
        plan: &Plan,
        stdio: &ChildStdio,
    ) -> Result<SessionChild, LaunchError> {
        let profile = Profile {
            confinement: Arc::clone(&plan.confinement),
            tmpfs_bytes: plan.limits.tmpfs_bytes,
            processes: plan.limits.processes,
        };
        match self.try_launch(spawner, scope, &profile, plan, stdio) {
            // Its server or its pid 1 was killed: a new one is made, once.
            Err(error) if is_over(&error) => {
                tracing::warn!(%error, "a session has ended, or did not start: it is made anew");
                self.try_launch(spawner, scope, &profile, plan, stdio)
            }
            launched => launched,
        }
    }

    fn try_launch(
        &self,
        spawner: &Spawner,
        scope: Scope,
        profile: &Profile,
        plan: &Plan,
        stdio: &ChildStdio,
    ) -> Result<SessionChild, LaunchError> {
        let session = self.session(spawner, scope, profile)?;
        session.launch(plan, stdio).inspect_err(|error| {
            // Its socket ends before its process has, and one that is ended since it did not answer takes a moment,
            // too: it would be found again.
            if is_over(error) || is_late(error) {
                self.give_up(scope, &session);
            }
        })
    }

    /// Forgets the sessions of a guest. Those with children end with the last.
    pub(crate) fn close(&self, scope: Scope) {
        let places = self.0.lock().remove(&scope);
        // Not under the lock: an ended session is a few system calls.
        drop(places);
    }

    /// Takes a session from those that are found.
    fn give_up(&self, scope: Scope, session: &Arc<Session>) {
        let mut all = self.0.lock();
        let places = all.get_mut(&scope);
        let gone: Vec<Place> = places
            .into_iter()
            .flat_map(|places| places.extract_if(.., |place| Arc::ptr_eq(&place.session, session)))
            .collect();
        drop(all);
        drop(gone);
    }

    fn session(
        &self,
        spawner: &Spawner,
        scope: Scope,
        profile: &Profile,
    ) -> Result<Arc<Session>, LaunchError> {
        if let Some(session) = self.find(scope, profile)? {
            return Ok(session);
        }
        // Not under the lock: it takes milliseconds. Of two first launches at once one makes a session too many.
        let session = Arc::new(Session::start(spawner, profile)?);
        let mut all = self.0.lock();
        let places = all.entry(scope).or_default();
        if let Some(other) = places.iter().find(|place| place.profile == *profile) {
            return Ok(Arc::clone(&other.session));
        }
        if places.len() >= MAX_SESSIONS {
            return Err(full());
        }
        places.push(Place {
            profile: profile.clone(),
            session: Arc::clone(&session),
        });
        Ok(session)
    }

    /// Returns the running session of `profile`; none where there is room for it, made
    /// now by the oldest that nobody uses.
    fn find(&self, scope: Scope, profile: &Profile) -> Result<Option<Arc<Session>>, LaunchError> {
        let sessions: Vec<_> = {
            let all = self.0.lock();
            let places = all.get(&scope).into_iter().flatten();
            places.map(|place| Arc::clone(&place.session)).collect()
        };
        // Not under the lock: a denied path may lie on a file system that hangs.
        let useless = |session: &Arc<Session>| !session.is_alive() || session.is_outdated();
        for session in sessions.iter().filter(|session| useless(session)) {
            self.give_up(scope, session);
        }
        drop(sessions);
        let mut all = self.0.lock();
        let Some(places) = all.get_mut(&scope) else {
            return Ok(None);
        };
        if let Some(place) = places.iter().find(|place| place.profile == *profile) {
            return Ok(Some(Arc::clone(&place.session)));
        }
        if places.len() < MAX_SESSIONS {
            return Ok(None);
        }
        let idle = |place: &Place| Arc::strong_count(&place.session) == 1;
        let index = places.iter().position(idle).ok_or_else(full)?;
        let gone = places.remove(index);
        drop(all);
        drop(gone);
        Ok(None)
    }
}

#[cfg(test)]
impl Sessions {
    /// The sessions of a guest.
    pub(crate) fn of(&self, scope: Scope) -> Vec<Arc<Session>> {
        let all = self.0.lock();
        let places = all.get(&scope).into_iter().flatten();
        places.map(|place| Arc::clone(&place.session)).collect()
    }
}

fn full() -> LaunchError {
    LaunchError::new(Stage::Namespaces, Errno::AGAIN.into())
}

fn is_late(error: &LaunchError) -> bool {
    error.stage == Stage::Request && error.source.kind() == std::io::ErrorKind::TimedOut
}

fn is_over(error: &LaunchError) -> bool {
    error.stage == Stage::Request && error.source.kind() == std::io::ErrorKind::BrokenPipe
}

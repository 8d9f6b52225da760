//! The sessions of each guest, one per profile.
//!
//! A guest's first child of a profile starts the session, and later children of that
//! profile use it. Guests never share a session, so that no guest sees what another
//! leaves in `/tmp`. When its guest is gone, or another session needs its
//! place, a session ends as soon as its last child has ended. It may begin as a spare
//! ([`spares`](super::spares)), and end when its guest is idle ([`idle`](super::idle)).
//!
//! A spawn checks only the session that it uses: one `poll(2)`, and one `statx(2)` for each
//! root and each name that a denied path depends on (0.8 us each). If one names another file
//! by now, the session is replaced. Rejected: checking all sessions of the guest at each
//! spawn, whose cost grows with the number of profiles.
//! The pool finds a dead session of another profile when that profile is used next, or
//! when the session's room is needed.

use std::io;
use std::sync::Arc;

use super::child::SessionChild;
use super::idle::IdleSessions;
use super::instance::{Session, session_outdated};
use super::profile::Profile;
use super::slots::{MAX_SESSIONS, Slots};
use super::spares::Spares;
use super::watch::Watch;
use crate::launch::{ChildStdio, LaunchError, Plan, Scope, Stage};
use crate::sandbox::sys::linux::spawner::Spawner;

/// How often a session is started for one launch: again only if the host replaces files of the
/// session meanwhile.
const MAX_STARTS: usize = 3;

/// The sessions of all guests.
#[derive(Debug)]
pub(crate) struct SessionPool {
    slots: Arc<Slots>,
    watch: Arc<Watch>,
    spares: Spares,
    idle: IdleSessions,
}

impl Default for SessionPool {
    fn default() -> Self {
        Self::with_watch(Watch::default())
    }
}

impl SessionPool {
    fn with_watch(watch: Watch) -> Self {
        let watch = Arc::new(watch);
        Self {
            slots: Arc::default(),
            spares: Spares::new(Arc::clone(&watch)),
            watch,
            idle: IdleSessions::default(),
        }
    }

    /// Starts what `plan` says in the session of its profile, which is started first if
    /// there is none.
    ///
    /// # Errors
    ///
    /// The stage that failed; [`Stage::Namespaces`] with `Shortage::Sessions` where all sessions
    /// of the guest are in use.
    pub(crate) fn launch(
        &self,
        spawner: &Arc<Spawner>,
        scope: Scope,
        plan: &Plan,
        stdio: &ChildStdio,
    ) -> Result<SessionChild, LaunchError> {
        let profile = Profile::of(plan);
        match self.try_launch(spawner, scope, &profile, plan, stdio) {
            // Its server or its pid 1 was killed: retried once, in a new session. Not where the request was sent: the
            // program may have run.
            Err(error) if error.stage == Stage::Request && has_ended(&error) => {
                tracing::warn!(%error, "a session has ended or did not start: restarting it");
                self.try_launch(spawner, scope, &profile, plan, stdio)
            }
            launched => launched,
        }
    }

    fn try_launch(
        &self,
        spawner: &Arc<Spawner>,
        scope: Scope,
        profile: &Profile,
        plan: &Plan,
        stdio: &ChildStdio,
    ) -> Result<SessionChild, LaunchError> {
        let session = self.session(spawner, scope, profile)?;
        let tree = spawner.assign_tree(&plan.limits, session.user())?;
        // After the session was compared: it shows the file that the script's path named then.
        plan.check_script()?;
        session.launch(plan, stdio, tree).inspect_err(|error| {
            // Removed here, because for a moment the liveness check would still pass: the socket ends before its
            // process has ended, and a session killed after a timeout takes a while to die.
            if has_ended(error) || has_timed_out(error) {
                self.slots.remove(scope, &session);
            }
        })
    }

    /// Removes all sessions of a guest. Those with children end with their last child.
    pub(crate) fn close(&self, scope: Scope) {
        self.slots.close(scope);
    }

    /// Returns the session of `profile`, and starts it if there is none.
    fn session(
        &self,
        spawner: &Arc<Spawner>,
        scope: Scope,
        profile: &Profile,
    ) -> Result<Arc<Session>, LaunchError> {
        for _ in 0..MAX_STARTS {
            // After a start too: the session may be another thread's, and the host may have changed its files since.
            if let Some(session) = self.find(scope, profile) {
                return Ok(session);
            }
            self.drop_unused(scope)?;
            let owners = spawner.owners();
            let lease = owners.and_then(|owners| owners.known(scope));
            // Not under the lock: it takes milliseconds. Two first launches at once start one session too many.
            let started = match self.spares.take(spawner, scope, profile) {
                Some(spare) => Ok(spare),
                None => Session::start_for(scope, spawner, profile).map(Arc::new),
            };
            match started {
                Ok(session) => {
                    self.spares.prepare(spawner, scope, profile, lease);
                    self.insert(scope, profile, session)?;
                }
                Err(error) if is_outdated(&error) => {}
                Err(error) => return Err(error),
            }
        }
        self.find(scope, profile).ok_or_else(session_outdated)
    }

    /// Adds a session, unless there is one of its profile by now.
    pub(super) fn insert(
        &self,
        scope: Scope,
        profile: &Profile,
        session: Arc<Session>,
    ) -> Result<(), LaunchError> {
        let watched = self.watch.add(&session);
        watched.map_err(|error| LaunchError::new(Stage::Spawn, error))?;
        self.slots.insert(scope, profile, session)?;
        // Without a thread idle sessions stay.
        let _ = self.idle.watch(&self.slots);
        Ok(())
    }

    /// Returns the session of `profile`, if it is usable; an unusable one is removed.
    pub(super) fn find(&self, scope: Scope, profile: &Profile) -> Option<Arc<Session>> {
        let session = self.slots.find(scope, profile)?;
        // Not under the lock: a path may be on a file system that hangs.
        self.watch.read();
        if session.is_usable() {
            return Some(session);
        }
        self.slots.remove(scope, &session);
        None
    }

    /// Makes room for one more session of a guest. Where there is none, removes the unusable
    /// sessions, and where all are usable, the oldest that has no child.
    fn drop_unused(&self, scope: Scope) -> Result<(), LaunchError> {
        let sessions = self.slots.sessions(scope);
        if sessions.len() < MAX_SESSIONS {
            return Ok(());
        }
        for session in sessions.iter().filter(|session| !session.is_usable()) {
            self.slots.remove(scope, session);
        }
        drop(sessions);
        self.slots.make_room(scope)
    }
}

#[cfg(test)]
impl SessionPool {
    /// Returns the sessions of a guest, the oldest first.
    pub(super) fn sessions(&self, scope: Scope) -> Vec<Arc<Session>> {
        self.slots.sessions(scope)
    }

    /// Ends the sessions that have no child and no state.
    pub(super) fn end_idle(&self) {
        self.slots.end_idle(std::time::Duration::ZERO);
    }

    /// Returns the pool of a host without inotify.
    pub(super) fn without_events() -> Self {
        Self::with_watch(Watch::without_events())
    }

    /// Returns the sessions that no guest has yet, once they have started.
    pub(super) fn spares(&self) -> Vec<Arc<Session>> {
        self.spares.ready()
    }

    /// Returns whether the watch reads events; false before the first session that needs it.
    pub(super) fn has_events(&self) -> bool {
        self.watch.has_events()
    }
}

fn is_outdated(error: &LaunchError) -> bool {
    error.stage == Stage::Root && error.source.kind() == io::ErrorKind::StaleNetworkFileHandle
}

fn has_timed_out(error: &LaunchError) -> bool {
    is_of_request(error) && error.source.kind() == io::ErrorKind::TimedOut
}

fn has_ended(error: &LaunchError) -> bool {
    is_of_request(error) && error.source.kind() == io::ErrorKind::BrokenPipe
}

fn is_of_request(error: &LaunchError) -> bool {
    matches!(error.stage, Stage::Request | Stage::Reply)
}

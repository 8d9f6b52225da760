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
use std::time::Duration;

use super::child::SessionChild;
use super::idle::IdleSessions;
use super::instance::{Session, session_outdated};
use super::profile::Profile;
use super::slots::{MAX_SESSIONS, Slots};
use super::spares::Spares;
use super::watch::Watch;
use crate::launch::{ChildStdio, LaunchError, Plan, Scope, Stage};
use crate::sandbox::sys::linux::deadline::Deadline;
use crate::sandbox::sys::linux::spawner::Spawner;

/// How often a session is started for one launch: again only if the host replaces files of the
/// session meanwhile.
const MAX_STARTS: usize = 3;

/// How long a launch waits for the end of sessions that it gives up, which takes milliseconds: 1 s.
const END_TIME: Duration = Duration::from_secs(1);

/// How often it looks for their end.
const END_PAUSE: Duration = Duration::from_millis(1);

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
            // Its server or its pid 1 was killed or does not reply: retried once, in a new session. Not where the request
            // was received: the program may have run.
            Err(error) if error.stage == Stage::Request && is_lost(&error) => {
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
            if is_lost(error) {
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
                None => self.start(spawner, scope, profile),
            };
            match started {
                Ok(session) => {
                    self.spares.prepare(spawner, scope, profile, lease);
                    self.slots.insert(scope, profile, session)?;
                    // Without a thread idle sessions stay.
                    let _ = self.idle.watch(&self.slots);
                }
                Err(error) if is_outdated(&error) => {}
                Err(error) => return Err(error),
            }
        }
        self.find(scope, profile).ok_or_else(session_outdated)
    }

    /// Starts a session, which is watched from then on, as a spare is.
    fn start(
        &self,
        spawner: &Spawner,
        scope: Scope,
        profile: &Profile,
    ) -> Result<Arc<Session>, LaunchError> {
        let session = Arc::new(Session::start_for(scope, spawner, profile)?);
        let watched = self.watch.add(&session);
        watched.map_err(|error| LaunchError::new(Stage::Spawn, error))?;
        Ok(session)
    }

    /// Ends what is kept for later children, because the host is short of something for a child of `scope` in a
    /// session of `profile`: the spares, and the sessions in which there is no child and nothing is left, but that one.
    /// Waits until their descriptors and user ids are free. Returns whether there were any.
    pub(crate) fn give_up_unused(&self, kept: Option<(Scope, &Profile)>) -> bool {
        let mut unused = self.spares.take_all();
        let (idle, have_ended) = self.slots.take_idle(Duration::ZERO, kept);
        unused.extend(idle);
        let is_any = have_ended || !unused.is_empty();
        // Ids that no guest has, which are free once the processes of their sessions are gone.
        let leases = unused.iter().filter_map(|session| session.lease());
        let leases: Vec<_> = leases
            .filter(|lease| Arc::strong_count(lease) == 1)
            .map(Arc::downgrade)
            .collect();
        drop(unused);
        let deadline = Deadline::after(END_TIME);
        while leases.iter().any(|lease| lease.strong_count() > 0) && !deadline.has_passed() {
            Deadline::after(END_PAUSE).sleep();
        }
        is_any
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
    pub(crate) fn sessions(&self, scope: Scope) -> Vec<Arc<Session>> {
        self.slots.sessions(scope)
    }

    /// Ends the sessions that have no child and no state.
    pub(super) fn end_idle(&self) {
        drop(self.slots.take_idle(Duration::ZERO, None));
    }

    /// Adds a session, as two first launches at once do.
    pub(super) fn insert(&self, scope: Scope, profile: &Profile, session: Arc<Session>) {
        self.watch.add(&session).expect("a thread");
        let inserted = self.slots.insert(scope, profile, session);
        inserted.expect("there is room");
    }

    /// Returns how often names of the session are watched.
    pub(super) fn watch_count(&self, session: &Arc<Session>) -> usize {
        self.watch.count(session)
    }

    /// Returns the pool of a host without inotify.
    pub(super) fn without_events() -> Self {
        Self::with_watch(Watch::without_events())
    }

    /// Returns the sessions that no guest has yet, once they have started.
    pub(crate) fn spares(&self) -> Vec<Arc<Session>> {
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

/// Whether the session has ended, or does not reply.
fn is_lost(error: &LaunchError) -> bool {
    let is_of_request = matches!(error.stage, Stage::Request | Stage::Reply);
    let kinds = [io::ErrorKind::BrokenPipe, io::ErrorKind::TimedOut];
    is_of_request && kinds.contains(&error.source.kind())
}

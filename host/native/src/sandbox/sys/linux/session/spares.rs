//! Sessions that are ready before a guest needs one.
//!
//! The problem: a session takes 2 to 4 ms to start, for which the first child of a guest waits. A
//! host that serves many guests starts many sessions of the same profile.
//!
//! The way chosen: when a second guest uses a profile, a thread starts one more session of it for
//! the next guest, and another one whenever that is taken. A spare is like any other session:
//! nothing has run in it, the watch covers it, and it is compared with the host's files before it is used.
//! On a host with a user id for each owner it runs either as the owner of the guest that came last,
//! or as a new id, which becomes that of the owner who gets the session.
//!
//! A host with one guest starts none, and spares that nobody takes end after half a minute to a minute. Rejected:
//! a template that each session is cloned from. The kernel clones neither a pid namespace nor a
//! mount namespace whose files have other owners.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::instance::{Session, session_ended};
use super::profile::Profile;
use super::watch::Watch;
use crate::launch::{LaunchError, Scope, Stage};
use crate::sandbox::sys::linux::owners::Lease;
use crate::sandbox::sys::linux::spawner::Spawner;

/// How long a spare waits for a guest, at least; at most twice as long.
const SPARE_TIME: Duration = Duration::from_secs(30);

/// Spares at once: 4, for as many profiles. Each costs what an idle guest does.
const MAX_SPARES: usize = 4;

/// Profiles that are remembered: 16. A spare is started for a profile when a second guest uses it.
const MAX_SEEN: usize = 16;

/// How long a launch waits for a session that is just being started: longer than that takes, and not for a file system
/// that hangs.
const START_TIME: Duration = Duration::from_millis(50);

/// How long dropping waits for a session that is just being started.
const DROP_TIME: Duration = Duration::from_secs(1);

/// The spare sessions of a launcher.
#[derive(Debug)]
pub(super) struct Spares {
    shared: Arc<Shared>,
}

/// What the thread and the launches share.
#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    watch: Arc<Watch>,
}

#[derive(Debug, Default)]
struct State {
    /// The guest that last used a profile, the latest profile last.
    seen: VecDeque<(Profile, Scope)>,
    /// To be started.
    wanted: VecDeque<Wanted>,
    /// What is being started.
    starting: Option<Profile>,
    ready: Vec<Spare>,
    has_thread: bool,
    is_closed: bool,
}

#[derive(Debug)]
struct Wanted {
    profile: Profile,
    lease: Option<Arc<Lease>>,
    spawner: Weak<Spawner>,
}

#[derive(Debug)]
struct Spare {
    profile: Profile,
    session: Arc<Session>,
    since: Instant,
}

impl Spares {
    /// Returns no spares yet; `watch` is the watch over all sessions of the launcher.
    pub(super) fn new(watch: Arc<Watch>) -> Self {
        Self {
            shared: Arc::new(Shared {
                state: Mutex::default(),
                changed: Condvar::new(),
                watch,
            }),
        }
    }

    /// Returns a spare of `profile` that the guest may have, and waits for the one that is being started. None if
    /// there is neither.
    pub(super) fn take(
        &self,
        spawner: &Spawner,
        scope: Scope,
        profile: &Profile,
    ) -> Option<Arc<Session>> {
        let session = {
            let mut state = self.shared.state.lock();
            if !state.has(profile) {
                // Another profile's may be waiting for a file system that hangs.
                state.wanted.retain(|wanted| wanted.profile != *profile);
                let starts = |state: &mut State| state.starting.as_ref() == Some(profile);
                self.shared
                    .changed
                    .wait_while_for(&mut state, starts, START_TIME);
            }
            // One that runs as another owner waits for a guest of that owner.
            let is_owners = |session: &Session| match (spawner.owners(), session.lease()) {
                (Some(owners), Some(lease)) => owners.assign(scope, lease),
                _ => true,
            };
            let mut ready = state.ready.iter();
            let index = ready.position(|it| it.profile == *profile && is_owners(&it.session))?;
            state.ready.swap_remove(index).session
        };
        // Not under the lock: it compares files.
        let is_current = session.has_filter_of_now(&profile.confinement.fs);
        (is_current && session.is_usable()).then_some(session)
    }

    /// Returns all spares, and starts no more of those that were wanted.
    pub(super) fn take_all(&self) -> Vec<Arc<Session>> {
        let mut state = self.shared.state.lock();
        state.wanted.clear();
        self.shared.changed.notify_all();
        let ready = std::mem::take(&mut state.ready);
        ready.into_iter().map(|spare| spare.session).collect()
    }

    /// Has a spare of `profile` started, if another guest than `scope` has used the profile too. `lease` is the user
    /// id that the owner of the guest had already.
    pub(super) fn prepare(
        &self,
        spawner: &Arc<Spawner>,
        scope: Scope,
        profile: &Profile,
        lease: Option<Arc<Lease>>,
    ) {
        let mut state = self.shared.state.lock();
        if !state.note(scope, profile) || state.has(profile) || state.is_wanted(profile) {
            return;
        }
        state.wanted.push_back(Wanted {
            profile: profile.clone(),
            lease,
            spawner: Arc::downgrade(spawner),
        });
        if state.has_thread {
            self.shared.changed.notify_all();
            return;
        }
        let shared = Arc::clone(&self.shared);
        let thread = std::thread::Builder::new().name("capspawn-ready".into());
        // A host without threads left has no spares.
        match thread.spawn(move || shared.run()) {
            Ok(_) => state.has_thread = true,
            Err(_) => state.wanted.clear(),
        }
    }
}

impl Drop for Spares {
    fn drop(&mut self) {
        let ready = {
            let mut state = self.shared.state.lock();
            state.is_closed = true;
            state.wanted.clear();
            self.shared.changed.notify_all();
            let starts = |state: &mut State| state.starting.is_some();
            let _ = self
                .shared
                .changed
                .wait_while_for(&mut state, starts, DROP_TIME);
            std::mem::take(&mut state.ready)
        };
        drop(ready);
    }
}

impl State {
    /// Notes that a guest uses a profile, and returns whether another one did before it.
    fn note(&mut self, scope: Scope, profile: &Profile) -> bool {
        let index = self.seen.iter().position(|(it, _)| it == profile);
        let last = index.and_then(|index| self.seen.remove(index));
        if self.seen.len() == MAX_SEEN {
            self.seen.pop_front();
        }
        self.seen.push_back((profile.clone(), scope));
        last.is_some_and(|(_, other)| other != scope)
    }

    fn has(&self, profile: &Profile) -> bool {
        self.ready.iter().any(|spare| spare.profile == *profile)
    }

    fn is_wanted(&self, profile: &Profile) -> bool {
        let mut wanted = self.wanted.iter().map(|wanted| &wanted.profile);
        self.starting.as_ref() == Some(profile) || wanted.any(|it| it == profile)
    }

    /// Removes the spares that have waited for too long, and all but the latest [`MAX_SPARES`].
    fn expired(&mut self) -> Vec<Spare> {
        let surplus = self.ready.len().saturating_sub(MAX_SPARES);
        let mut expired: Vec<_> = self.ready.drain(..surplus).collect();
        let is_old = |spare: &mut Spare| spare.since.elapsed() >= SPARE_TIME;
        expired.extend(self.ready.extract_if(.., is_old));
        expired
    }
}

impl Shared {
    /// Starts what is wanted, until no spare is left.
    fn run(&self) {
        let mut state = self.state.lock();
        loop {
            if let Some(wanted) = state.wanted.pop_front() {
                state.starting = Some(wanted.profile.clone());
                drop(state);
                let session = self.start(&wanted);
                state = self.state.lock();
                state.starting = None;
                match session {
                    Ok(session) if !state.is_closed => state.ready.push(Spare {
                        profile: wanted.profile,
                        session,
                        since: Instant::now(),
                    }),
                    Ok(_) => {}
                    Err(error) => {
                        tracing::debug!(%error, "a spare session did not start");
                    }
                }
                self.changed.notify_all();
            }
            let expired = state.expired();
            if !expired.is_empty() {
                drop(state);
                drop(expired);
                state = self.state.lock();
            }
            if state.is_closed || (state.ready.is_empty() && state.wanted.is_empty()) {
                state.has_thread = false;
                return;
            }
            if state.wanted.is_empty() {
                self.changed.wait_for(&mut state, SPARE_TIME);
            }
        }
    }

    fn start(&self, wanted: &Wanted) -> Result<Arc<Session>, LaunchError> {
        let spawner = wanted.spawner.upgrade();
        let spawner = spawner.ok_or_else(session_ended)?;
        let session = Session::start_ahead(wanted.lease.clone(), &spawner, &wanted.profile)?;
        let session = Arc::new(session);
        let watched = self.watch.add(&session);
        watched.map_err(|error| LaunchError::new(Stage::Spawn, error))?;
        Ok(session)
    }
}

#[cfg(test)]
impl Spares {
    /// Waits until no session is being started, and returns the spares.
    pub(super) fn ready(&self) -> Vec<Arc<Session>> {
        let mut state = self.shared.state.lock();
        let starts = |state: &mut State| state.starting.is_some() || !state.wanted.is_empty();
        self.shared.changed.wait_while(&mut state, starts);
        state
            .ready
            .iter()
            .map(|spare| Arc::clone(&spare.session))
            .collect()
    }
}

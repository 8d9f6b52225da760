//! The launcher that replays.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use capspawn_native::confinement::{Confinement, Dimension, Enforced, Enforcement};
use capspawn_native::launch::{ChildStdio, Launcher, Owner, Plan, Process, Scope};
use capspawn_native::{LaunchError, Stage};

use super::child::{Played, Shared};
use super::player::Player;
use super::script::{Ending, Script, Step};
pub use super::session::Order;
use super::session::Session;
use super::streams::Streams;
use crate::descriptor::{new_pipe, set_nonblocking};
use crate::difference::Divergence;
use crate::dirs::Dirs;
use crate::format::Failure;
use crate::request::{Request, View, Whose};
use crate::tape::Tape;

/// Answers launches from a [`Tape`], without any process.
///
/// A request that differs from the tape fails, and so does a child that receives something else than on the tape: it ends as
/// killed by the host. The operator's event has the first difference, and [`Replayer::finish`] returns it.
///
/// Children end as soon as they have received what they received in the recording, and in the same order. What they wrote is
/// released when they have received what came before it. Nothing waits for the recorded durations.
///
/// Nothing is confined, because nothing runs: the replayer admits each confinement. Process ids are numbers that no process
/// has, and the usage of a child is zero.
#[derive(Debug)]
pub struct Replayer {
    session: Arc<Session>,
    view: View,
    owners: Mutex<HashMap<Scope, Whose>>,
}

/// Builds a [`Replayer`]; see [`Replayer::builder`].
#[derive(Debug)]
#[must_use]
pub struct ReplayerBuilder {
    tape: Tape,
    dirs: Dirs,
    order: Order,
}

/// A tape that cannot be replayed with these settings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// The tape has a name for a directory, and nothing sets which it is.
    #[error("the tape shows a directory as ${0}: set which directory that is now")]
    NoDir(String),
    /// A directory has a name that the tape does not have.
    #[error("the tape shows no directory as ${0}: it was recorded without that name")]
    OtherDir(String),
}

impl ReplayerBuilder {
    /// Sets the directories for the names in the tape; by default none.
    pub fn dirs(mut self, dirs: Dirs) -> Self {
        self.dirs = dirs;
        self
    }

    /// Sets in which order launches may be requested; by default as on the tape.
    pub fn order(mut self, order: Order) -> Self {
        self.order = order;
        self
    }

    /// Builds the launcher.
    ///
    /// # Errors
    ///
    /// The directories are not those of the tape.
    pub fn build(self) -> Result<Replayer, ReplayError> {
        let (set, names) = (self.dirs.names(), self.tape.dirs());
        if let Some(name) = names.iter().find(|name| !set.contains(name)) {
            return Err(ReplayError::NoDir(name.clone()));
        }
        if let Some(name) = set.iter().find(|name| !names.contains(name)) {
            return Err(ReplayError::OtherDir(name.clone()));
        }
        Ok(Replayer {
            view: View {
                dirs: self.dirs,
                values: self.tape.values(),
            },
            session: Arc::new(Session::new(self.tape, self.order)),
            owners: Mutex::default(),
        })
    }
}

impl Replayer {
    /// Returns a builder of a replayer of `tape`.
    pub fn builder(tape: Tape) -> ReplayerBuilder {
        ReplayerBuilder {
            tape,
            dirs: Dirs::default(),
            order: Order::default(),
        }
    }

    /// Returns all differences so far, in the order in which they were found. The first one is the cause; later ones may
    /// follow from it.
    pub fn divergences(&self) -> Vec<Divergence> {
        self.session.divergences()
    }

    /// Returns whether the run did what the tape has. Called once the guest has ended and the registry is shut down.
    ///
    /// # Errors
    ///
    /// The first difference; or a call of the tape that the run did not make.
    pub fn finish(&self) -> Result<(), Divergence> {
        match self.divergences().into_iter().next() {
            Some(divergence) => Err(divergence),
            None => Ok(()),
        }
    }

    fn owners(&self) -> MutexGuard<'_, HashMap<Scope, Whose>> {
        self.owners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn play(
        &self,
        index: usize,
        steps: Vec<Step>,
        ending: Ending,
        stdio: ChildStdio,
    ) -> io::Result<Box<dyn Process>> {
        let (ended, shows_exit) = new_pipe()?;
        let (signalled, signals) = new_pipe()?;
        set_nonblocking(&signals)?;
        let shared = Arc::new(Shared::new(Arc::clone(&self.session), index, signals));
        let player = Player::new(Arc::clone(&shared), Streams::new(stdio, signalled)?);
        let thread = thread::Builder::new().name("capspawn-tape".to_owned());
        thread.spawn(move || player.play(steps, ending, shows_exit))?;
        Ok(Box::new(Played { shared, ended }))
    }
}

impl Launcher for Replayer {
    fn enforcement(&self, confinement: &Confinement) -> Arc<Enforcement> {
        let mechanism = "no process";
        let full = |dimension| (dimension, Enforced::Full { mechanism });
        Arc::new(Enforcement::new(
            confinement,
            Dimension::ALL.map(full).into(),
        ))
    }

    fn launch(
        &self,
        scope: Scope,
        plan: &Plan,
        stdio: ChildStdio,
    ) -> Result<Box<dyn Process>, LaunchError> {
        let whose = self.owners().get(&scope).cloned().unwrap_or_default();
        let request = Request::new(plan, &whose, &self.view);
        let index = self
            .session
            .take(&request)
            .map_err(|divergence| LaunchError::new(Stage::Spawn, io::Error::other(divergence)))?;
        match Script::new(&self.session.tape.calls[index], &self.view.dirs) {
            Script::Fails(failure) => {
                self.session.end(index);
                Err(recorded_error(failure))
            }
            Script::Runs(steps, ending) => {
                let played = self.play(index, steps, ending, stdio);
                played.map_err(|error| LaunchError::new(Stage::Spawn, error))
            }
        }
    }

    fn open(&self, scope: Scope, owner: Owner<'_>) {
        self.owners().insert(scope, owner.into());
    }

    fn close(&self, scope: Scope) {
        self.owners().remove(&scope);
    }
}

/// Returns the error that a launch had.
fn recorded_error(failure: Failure) -> LaunchError {
    let stage = failure.stage().unwrap_or(Stage::Spawn);
    let source = match failure.errno {
        Some(errno) => io::Error::from_raw_os_error(errno),
        None => io::Error::other(failure.error),
    };
    LaunchError::new(stage, source)
}

//! The launcher that records.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use capspawn_native::confinement::{Confinement, Enforcement};
use capspawn_native::launch::{ChildStdio, Launcher, Owner, Plan, Process, Scope};
use capspawn_native::{LaunchError, Stage};

use super::journal::Journal;
use super::process::Recorded;
use super::relay::{Relay, is_dialogue};
use super::writer::{CallLog, Writer};
use crate::descriptor::new_pipe;
use crate::dirs::Dirs;
use crate::format::Failure;
use crate::request::{Request, Values, View, Whose};

/// The most bytes of each output of a child that a tape has: 256 KiB.
const DEFAULT_MAX_STREAM_BYTES: u64 = 256 * 1024;

/// The longest that [`Recorder::finish`] waits for children that still run: 2 s.
const PATIENCE: Duration = Duration::from_secs(2);

/// Records what another launcher starts.
///
/// Children run as they would without it, confined by the other launcher. A tape has, for each launch:
///
/// - the command, the program, the arguments, the directory, where the streams lead, and the *names* of the variables;
/// - of the variables' values and of standard input a SHA-256 hash, unless [`RecorderBuilder::values`] requests more;
/// - what the child wrote, up to [`RecorderBuilder::max_stream_bytes`] of each stream; of a longer one also its length and
///   its hash, and a replay of it reports that the rest is missing;
/// - the signals that the host sent, the status, and how long the child ran.
///
/// It has no process ids, no times of day and no resource usage. What a child wrote into files by itself is not in a tape
/// either; a file that the *request* names for standard output or standard error is written again by a replay.
///
/// The bytes of each stream pass through a thread of the recorder, so a recorded child takes a thread and up to eight
/// descriptors more than an ordinary one, and its standard streams are pipes even where the request names a file.
#[derive(Debug)]
pub struct Recorder {
    inner: Arc<dyn Launcher>,
    writer: Arc<Writer>,
    owners: Mutex<HashMap<Scope, Whose>>,
    max_stream_bytes: u64,
}

/// Builds a [`Recorder`]; see [`Recorder::builder`].
#[derive(Debug)]
#[must_use]
pub struct RecorderBuilder {
    inner: Arc<dyn Launcher>,
    view: View,
    has_times: bool,
    max_stream_bytes: u64,
}

impl RecorderBuilder {
    /// Sets the directories that the tape shows by their names; by default none.
    pub fn dirs(mut self, dirs: Dirs) -> Self {
        self.view.dirs = dirs;
        self
    }

    /// Sets whether the tape has the values of variables and standard input themselves; by default it has their hashes.
    pub fn values(mut self, values: Values) -> Self {
        self.view.values = values;
        self
    }

    /// Sets whether the tape has how long each child ran; by default it has. Without it, two recordings of a run that does
    /// the same are the same file.
    pub fn times(mut self, has_times: bool) -> Self {
        self.has_times = has_times;
        self
    }

    /// Sets how many bytes of each output of a child the tape has at most, and with [`Values::Plain`] of its input, of which
    /// it otherwise has the hash; by default 256 KiB.
    pub fn max_stream_bytes(mut self, bytes: u64) -> Self {
        self.max_stream_bytes = bytes;
        self
    }

    /// Creates the tape at `path`, in place of a file that is there.
    ///
    /// # Errors
    ///
    /// The file cannot be created or written.
    pub fn create(self, path: impl AsRef<Path>) -> io::Result<Recorder> {
        let file = File::create(path)?;
        Ok(Recorder {
            inner: self.inner,
            writer: Arc::new(Writer::new(file, self.view, self.has_times)?),
            owners: Mutex::default(),
            max_stream_bytes: self.max_stream_bytes,
        })
    }
}

impl Recorder {
    /// Returns a builder of a recorder of what `launcher` starts.
    pub fn builder(launcher: Arc<dyn Launcher>) -> RecorderBuilder {
        RecorderBuilder {
            inner: launcher,
            view: View::default(),
            has_times: true,
            max_stream_bytes: DEFAULT_MAX_STREAM_BYTES,
        }
    }

    /// Writes what is left to write. A child that still runs 2 s later is in the tape as unfinished, and cannot be
    /// replayed to its end: shut the registry down first. What happens later is not recorded.
    ///
    /// # Errors
    ///
    /// The first error of the file, also an earlier one.
    pub fn finish(&self) -> io::Result<()> {
        self.writer.finish(PATIENCE)
    }

    fn owners(&self) -> MutexGuard<'_, HashMap<Scope, Whose>> {
        self.owners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn try_launch(
        &self,
        scope: Scope,
        plan: &Plan,
        stdio: ChildStdio,
        log: &Arc<CallLog>,
    ) -> Result<Box<dyn Process>, LaunchError> {
        let pipe_error = |error| LaunchError::new(Stage::Pipe, error);
        let (relay, stdio) = Relay::new(plan, stdio).map_err(pipe_error)?;
        let (ended, shows_exit) = new_pipe().map_err(pipe_error)?;
        let (sends_process, process) = mpsc::channel::<Arc<dyn Process>>();
        let relayed = Arc::clone(log);
        // Before the child, which could not be recorded without it.
        let thread = thread::Builder::new().name("capspawn-tape".to_owned());
        let thread = thread.spawn(move || {
            // Without a process the launch has failed.
            if let Ok(process) = process.recv() {
                relay.run(&*process, &relayed, shows_exit);
                relayed.complete();
            }
        });
        thread.map_err(|error| LaunchError::new(Stage::Spawn, error))?;
        let process: Arc<dyn Process> = self.inner.launch(scope, plan, stdio)?.into();
        // The thread waits for it.
        let _ = sends_process.send(Arc::clone(&process));
        Ok(Box::new(Recorded {
            process,
            log: Arc::clone(log),
            ended,
        }))
    }
}

impl Launcher for Recorder {
    fn enforcement(&self, confinement: &Confinement) -> Arc<Enforcement> {
        self.inner.enforcement(confinement)
    }

    fn launch(
        &self,
        scope: Scope,
        plan: &Plan,
        stdio: ChildStdio,
    ) -> Result<Box<dyn Process>, LaunchError> {
        let view = self.writer.view();
        let whose = self.owners().get(&scope).cloned().unwrap_or_default();
        let request = Request::new(plan, &whose, view);
        let journal = Journal::new(is_dialogue(plan), self.max_stream_bytes, view.values);
        let log = self.writer.begin(request, journal);
        let launched = self.try_launch(scope, plan, stdio, &log);
        if let Err(error) = &launched {
            log.fail(Failure {
                stage: format!("{:?}", error.stage),
                errno: error.source.raw_os_error(),
                error: error.source.to_string(),
                check: None,
            });
        }
        launched
    }

    fn reap_adopted(&self) -> bool {
        self.inner.reap_adopted()
    }

    fn make_room(&self) -> bool {
        self.inner.make_room()
    }

    fn open(&self, scope: Scope, owner: Owner<'_>) {
        self.owners().insert(scope, owner.into());
        self.inner.open(scope, owner);
    }

    fn close(&self, scope: Scope) {
        self.owners().remove(&scope);
        self.inner.close(scope);
    }
}

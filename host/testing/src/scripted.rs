//! A launcher that starts no process.
//!
//! It executes the registry's plans by scripts: the streams are real pipes, so that everything between the guest and the
//! child's end of a pipe is what it is in production, and the child is a task. All tasks of a launcher share one thread.
//! Rejected: pretended streams. The registry's pumps, backpressure and drops would not be tested.

mod child;
mod fault;
mod io;
mod play;
mod stage;

use std::fmt::Write as _;
use std::sync::Arc;

use capspawn_native::clock::Clock;
use capspawn_native::confinement::{Confinement, Dimension, Enforced, Enforcement};
use capspawn_native::launch::{ChildStdio, LaunchError, Launcher, Plan, Process, Scope, Stage};
use parking_lot::Mutex;

use crate::script::{Entries, Script};

use self::child::ScriptedProcess;
use self::fault::unexpected;
pub use self::fault::{Call, Fault};
use self::play::play;
use self::stage::PlayThread;

/// Starts no process: each child is a script.
///
/// A child gets the first script for its command and arguments that is not used up. A call without a script fails, and is a
/// [`Fault`] that names the nearest one. Confinement is reported as enforced, because there is nothing to confine.
///
/// ```
/// use std::sync::Arc;
///
/// use capspawn_native::{Command, ExitStatus, Grants, Registry};
/// use capspawn_testing::ScriptedLauncher;
///
/// let scripts = ScriptedLauncher::new();
/// scripts.on("kernel").args(["-s"]).stdout("Plan 9\n");
///
/// let registry = Registry::builder().launcher(Arc::new(scripts.clone())).build()?;
/// let grants = Grants::from_toml_str(
///     r#"
///     version = 1
///     [[component.report.command]]
///     name = "kernel"
///     program = "/bin/uname"
///     args = ["-s"]
///     "#,
///     "/".as_ref(),
/// )?;
/// let guest = registry.guest(grants.component("report"), "");
/// let child = guest.spawn(&Command::new("kernel").arg("-s"))?;
/// assert_eq!(child.wait_blocking(None), Some(ExitStatus::Exited(0)));
/// assert_eq!(child.captured(0, 0).0.data, b"Plan 9\n");
/// scripts.verify();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct ScriptedLauncher(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    entries: Entries,
    calls: Mutex<Vec<Call>>,
    faults: Arc<Mutex<Vec<Fault>>>,
    clock: Clock,
    thread: PlayThread,
    is_sandboxed: bool,
}

impl Default for ScriptedLauncher {
    fn default() -> Self {
        Self::new()
    }
}

impl ScriptedLauncher {
    /// Returns a launcher without scripts, whose children live in the system's time.
    pub fn new() -> Self {
        Self::with_clock(Clock::system())
    }

    /// Returns a launcher without scripts, whose children live in the time of `clock`, which is to be the registry's.
    pub fn with_clock(clock: impl Into<Clock>) -> Self {
        Self::build(clock.into(), true)
    }

    /// Returns a launcher that reports a system without a sandbox: every command of which the grant demands one is refused.
    pub fn without_sandbox() -> Self {
        Self::build(Clock::system(), false)
    }

    fn build(clock: Clock, is_sandboxed: bool) -> Self {
        Self(Arc::new(Inner {
            entries: Entries::default(),
            calls: Mutex::default(),
            faults: Arc::default(),
            clock,
            thread: PlayThread::default(),
            is_sandboxed,
        }))
    }

    /// Adds a script for `command`, which is its name in the grant, or what the guest asks for under a rule for any program.
    pub fn on(&self, command: impl Into<String>) -> Script {
        Script::new(&self.0.entries, command.into())
    }

    /// Returns the calls so far, failed ones included, in the order of their launches.
    pub fn calls(&self) -> Vec<Call> {
        self.0.calls.lock().clone()
    }

    /// Returns what the test has not foreseen so far.
    pub fn faults(&self) -> Vec<Fault> {
        self.0.faults.lock().clone()
    }

    /// Checks that there was no fault, and that each script with [`Script::times`] or [`Script::once`] was used that often.
    ///
    /// # Panics
    ///
    /// If not, with all faults and unused scripts.
    #[track_caller]
    pub fn verify(&self) {
        let mut text = String::new();
        for fault in self.faults() {
            let _ = writeln!(text, "{fault}");
        }
        for entry in self.0.entries.lock().iter() {
            if entry.missing() > 0 {
                let _ = writeln!(text, "unused script: {entry}");
            }
        }
        assert!(text.is_empty(), "\n{text}");
    }
}

impl Launcher for ScriptedLauncher {
    fn enforcement(&self, confinement: &Confinement) -> Arc<Enforcement> {
        if !self.0.is_sandboxed {
            let reason = "the script says so";
            return Arc::new(Enforcement::none(confinement, reason, "change the script"));
        }
        let full = Enforced::Full {
            mechanism: "no process",
        };
        let dimensions = Dimension::ALL.map(|name| (name, full.clone()));
        Arc::new(Enforcement::new(confinement, dimensions.into()))
    }

    fn launch(
        &self,
        _scope: Scope,
        plan: &Plan,
        stdio: ChildStdio,
    ) -> Result<Box<dyn Process>, LaunchError> {
        let call = Call::new(plan);
        let number = {
            let mut calls = self.0.calls.lock();
            calls.push(call.clone());
            calls.len() - 1
        };
        let args = call.args();
        let taken = {
            let mut entries = self.0.entries.lock();
            let taken = entries.iter_mut().find_map(|entry| entry.take(plan, args));
            taken.ok_or_else(|| unexpected(&entries, plan, &call))
        };
        let behaviour = taken.map_err(|text| {
            self.0.faults.lock().push(Fault::Unexpected(text.clone()));
            LaunchError::new(Stage::Spawn, std::io::Error::other(text))
        })?;
        if let Some(failure) = behaviour.failure {
            return Err(failure.error());
        }
        let at = |stage| move |source| LaunchError::new(stage, source);
        let process = ScriptedProcess::new(&behaviour).map_err(at(Stage::Spawn))?;
        let handle = self.0.thread.handle().map_err(at(Stage::Spawn))?;
        let streams = {
            let _entered = handle.enter();
            io::Streams::new(stdio).map_err(at(Stage::Stdio))?
        };
        let (child, clock) = (process.child(), self.0.clock.clone());
        let (faults, inner) = (Arc::clone(&self.0.faults), Arc::downgrade(&self.0));
        let task = async move {
            let read = play(child, behaviour, streams, &clock, &call, &faults).await;
            if let Some(inner) = inner.upgrade() {
                inner.calls.lock()[number].stdin = read;
            }
        };
        self.0.clock.spawn(&handle, task);
        Ok(Box::new(process))
    }
}

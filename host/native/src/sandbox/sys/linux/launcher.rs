//! The launcher: by a session where the host has them, else one process per child.
//!
//! Without a session a host without privileges clones the child, which confines
//! itself before it executes. A root host's children must not be root, and a
//! change of user in the vfork child would make the host undumpable: there the
//! helper does it, at the price of a second exec. A child of `sandbox = "none"`
//! takes that way too: it has no confinement to share.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;

use super::descriptors::{Above, null, raised};
use super::helper::{self, Mode, Orders};
use super::job::{Form, Job, Streams};
use super::policies::{Policies, Policy};
use super::probe::{self, Findings, Probed};
use super::process::Child;
use super::report;
use super::sessions::Sessions;
use super::steps::Fault;
use super::strings::CStrings;
use super::vfork::{Spawned, Vfork};
use super::watcher::Watcher;
use super::{limits, privileges};
use crate::error::{LaunchError, Stage};
use crate::grant::Identity;
use crate::launch::{ChildStdio, Launcher, Plan, Process, Program, Scope, WorkingDirectory};
use crate::limits::{CaptureCaps, Limits};
use crate::sandbox::{Confinement, Enforcement, Sandbox, Tier};

/// The user and group that children of a root host run as: nobody's.
const NOBODY: (u32, u32) = (Identity::NOBODY.uid, Identity::NOBODY.gid);

const NO_FAULT: Fault = Fault { step: 0, errno: 0 };

/// Starts children confined by the best [`Tier`] that the host has.
#[derive(Debug)]
pub struct NativeLauncher {
    /// What the embedder insists on.
    tier: Option<Tier>,
    vfork: Vfork,
    policies: Policies,
    helper: OnceLock<OwnedFd>,
    watcher: Mutex<Option<Arc<Watcher>>>,
    sessions: Sessions,
    findings: OnceLock<Findings>,
    /// Whom the helper becomes; none where the vfork child confines itself.
    run_as: Option<(u32, u32)>,
    lock_securebits: bool,
    fault: Fault,
}

impl Default for NativeLauncher {
    fn default() -> Self {
        Self::new()
    }
}

impl NativeLauncher {
    /// Returns the launcher of [`NativeLauncher::builder`] as it is.
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// Returns a builder: the best tier that the host has, and children that run
    /// as the host's user, or as 65534:65534 where that is root.
    pub fn builder() -> NativeLauncherBuilder {
        NativeLauncherBuilder::default()
    }

    /// A launcher with a fault, for the tests of sessions.
    #[cfg(test)]
    pub(super) fn failing(fault: Fault) -> Self {
        let root = rustix::process::geteuid().is_root();
        Self::with(Some(Tier::A), root.then_some(NOBODY), false, fault)
    }

    /// The seam of the tests: a fault at one step, clone instead of clone3.
    fn with(
        tier: Option<Tier>,
        run_as: Option<(u32, u32)>,
        legacy_clone: bool,
        fault: Fault,
    ) -> Self {
        Self {
            tier,
            vfork: Vfork::new(legacy_clone),
            policies: Policies::default(),
            helper: OnceLock::new(),
            watcher: Mutex::new(None),
            sessions: Sessions::default(),
            findings: OnceLock::new(),
            run_as,
            lock_securebits: privileges::may_lock_securebits(),
            fault,
        }
    }

    fn helper(&self) -> io::Result<BorrowedFd<'_>> {
        if let Some(image) = self.helper.get() {
            return Ok(image.as_fd());
        }
        let image = raised(helper::image()?)?;
        Ok(self.helper.get_or_init(|| image).as_fd())
    }

    /// The watcher, started now if none runs.
    fn watcher(&self) -> Result<Arc<Watcher>, LaunchError> {
        if let Some(watcher) = &*self.watcher.lock() {
            return Ok(Arc::clone(watcher));
        }
        // Not under the lock: it starts a process. Of two first launches at once one starts a watcher too many.
        let started = Watcher::new(|socket| self.start_watcher(socket));
        let started = Arc::new(started.map_err(spawn_error)?);
        let mut kept = self.watcher.lock();
        let watcher = Arc::clone(kept.get_or_insert_with(|| Arc::clone(&started)));
        drop(kept);
        Ok(watcher)
    }

    /// Gives up a watcher that has failed; the one that has taken its place stays.
    fn give_up(&self, failed: &Arc<Watcher>) {
        let mut kept = self.watcher.lock();
        let is_failed = |watcher: &mut Arc<Watcher>| Arc::ptr_eq(watcher, failed);
        let gone = kept.take_if(is_failed);
        drop(kept);
        // Not under the lock: the last to drop it waits for its end.
        drop(gone);
    }

    fn start_watcher(&self, socket: BorrowedFd<'_>) -> io::Result<Spawned> {
        let streams = Streams::null()?;
        let mut job = streams.job(self.helper()?, Mode::Watch);
        let orders = Orders {
            status: socket.as_raw_fd(),
            ..self.orders(&job)
        };
        let mut argv = CStrings::new();
        argv.push(&[&orders.encode()])?;
        let form = Form {
            program: job.program,
            confine: None,
            keep: &[orders.status],
            watcher: None,
        };
        self.clone_child(&mut job, &mut argv, &form, NO_FAULT)
            .map_err(|error| error.source)
    }

    /// Whether children run with the user id 0.
    pub(super) fn keeps_root(&self) -> bool {
        let own = rustix::process::geteuid().as_raw();
        self.run_as.map_or(own, |(uid, _)| uid) == 0
    }

    /// The tier that the embedder insists on.
    pub(super) fn forced_tier(&self) -> Option<Tier> {
        self.tier
    }

    /// What a probe of this host has found: probed once, and again where it was short of something.
    pub(super) fn findings(&self) -> Findings {
        if let Some(findings) = self.findings.get() {
            return *findings;
        }
        // Of two first launches at once both probe.
        match probe::run(self) {
            Probed::Lasting(findings) => *self.findings.get_or_init(|| findings),
            Probed::Passing(findings) => findings,
        }
    }

    /// Runs the helper's self-test under `policy`, against the process `canary`.
    pub(super) fn start_probe(&self, policy: &Policy, canary: u32) -> Result<Child, LaunchError> {
        let streams = Streams::null().map_err(spawn_error)?;
        let mut job = streams.job(self.helper().map_err(spawn_error)?, Mode::Probe);
        job.canary = canary;
        self.start(policy, &mut job, None)
    }

    /// Starts a process of the children's user that does nothing until `stdin` ends.
    pub(super) fn start_canary(&self, stdin: BorrowedFd<'_>) -> Result<Child, LaunchError> {
        let streams = Streams::null().map_err(spawn_error)?;
        let helper = self.helper().map_err(spawn_error)?;
        // Executed once more, so that it has become that user when this returns.
        let mut job = streams.job(helper, Mode::Watch);
        let orders = Orders {
            status: 0,
            ..self.orders(&job)
        }
        .encode();
        job.mode = Mode::Execute;
        job.argv = vec![&orders];
        job.stdio[0] = stdin.as_raw_fd();
        self.start(&Policy::open(), &mut job, None)
    }

    /// The plan of the self-test in a session, against the process `canary`.
    pub(super) fn session_probe(&self, canary: u32) -> io::Result<Plan> {
        let streams = Streams::null()?;
        let helper = self.helper()?;
        let mut job = streams.job(helper, Mode::ProbeSession);
        job.canary = canary;
        Ok(Plan {
            name: "probe".into(),
            program: Arc::new(Program {
                path: "/probe".into(),
                file: helper.try_clone_to_owned()?.into(),
            }),
            argv: vec![self.orders(&job).encode()],
            env: Vec::new(),
            cwd: WorkingDirectory {
                path: "/".into(),
                dir: Arc::new(streams.root()?),
                named: true,
            },
            limits: Limits::default(),
            capture: CaptureCaps::default(),
            confinement: Arc::default(),
            script: None,
            disclose_pid: false,
        })
    }

    /// Starts what `plan` says as a process of its own, in tier B or C.
    fn launch_alone(
        &self,
        tier: Tier,
        plan: &Plan,
        stdio: ChildStdio,
    ) -> Result<Child, LaunchError> {
        let at = |stage| move |source| LaunchError::new(stage, source);
        let policy = self.policies.get(&plan.confinement, &plan.program, tier);
        let policy = policy.map_err(at(Stage::Ruleset))?;
        let mut env = CStrings::new();
        for (name, value) in &plan.env {
            env.push(&[name, "=", value]).map_err(at(Stage::Spawn))?;
        }
        let stdin = stream(stdio.stdin).map_err(at(Stage::Stdio))?;
        let stdout = stream(stdio.stdout).map_err(at(Stage::Stdio))?;
        let stderr = stream(stdio.stderr).map_err(at(Stage::Stdio))?;
        let program = Above::new(plan.program.file.as_fd()).map_err(at(Stage::OpenProgram))?;
        let cwd = Above::new(plan.cwd.dir.as_fd()).map_err(at(Stage::WorkingDirectory))?;
        let limits = limits::resources(&plan.limits);
        let mut job = Job {
            program: program.as_fd(),
            argv: plan.argv.iter().map(String::as_str).collect(),
            env,
            cwd: cwd.as_fd(),
            stdio: [stdin.as_raw_fd(), stdout.as_raw_fd(), stderr.as_raw_fd()],
            limits: &limits,
            mode: Mode::Execute,
            canary: 0,
        };
        let watcher = self.watcher()?;
        let mut child = self.start(&policy, &mut job, Some(Arc::clone(&watcher)));
        let gone = |error: &LaunchError| {
            error.stage == Stage::Watch && error.source.kind() == io::ErrorKind::BrokenPipe
        };
        if child.as_ref().is_err_and(gone) {
            tracing::warn!(
                "the watcher was killed: if the host is killed, its present children stay"
            );
            self.give_up(&watcher);
            child = self.start(&policy, &mut job, Some(self.watcher()?));
        }
        child
    }
}

/// A stream above the standard ones, or the null device.
fn stream(stream: Option<OwnedFd>) -> io::Result<OwnedFd> {
    raised(stream.map_or_else(null, Ok)?)
}

fn spawn_error(source: io::Error) -> LaunchError {
    LaunchError::new(Stage::Spawn, source)
}

impl Launcher for NativeLauncher {
    fn enforcement(&self, confinement: &Confinement) -> Enforcement {
        report::report(&self.findings(), confinement)
    }

    fn launch(
        &self,
        scope: Scope,
        plan: &Plan,
        stdio: ChildStdio,
    ) -> Result<Box<dyn Process>, LaunchError> {
        let tier = match plan.confinement.sandbox {
            // Nothing is confined, so that nothing is probed.
            Sandbox::None => Tier::C,
            Sandbox::Required | Sandbox::BestEffort => self.findings().tier,
        };
        if tier == Tier::A {
            let child = self.sessions.launch(self, scope, plan, &stdio)?;
            return Ok(Box::new(child));
        }
        Ok(Box::new(self.launch_alone(tier, plan, stdio)?))
    }

    fn close(&self, scope: Scope) {
        self.sessions.close(scope);
    }
}

pub use builder::NativeLauncherBuilder;
pub(super) use start::SessionFiles;

mod builder;
mod start;
#[cfg(test)]
mod tests;

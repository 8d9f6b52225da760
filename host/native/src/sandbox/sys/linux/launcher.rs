//! The launcher of tier B: no namespaces, no privileges, one process per child.
//!
//! A host without privileges clones the child, which confines itself before it
//! executes. A root host's children must not be root, and a change of user in
//! the vfork child would make the host undumpable: there the helper does it, at
//! the price of a second exec.

#![allow(
    unsafe_code,
    reason = "prepares the raw pointers that the vfork child reads"
)]

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;

use super::descriptors::{Above, raised};
use super::helper::{self, Mode, Orders};
use super::job::{Form, Job, Streams};
use super::policies::{Policies, Policy};
use super::probe::{self, Findings};
use super::process::Child;
use super::steps::Fault;
use super::strings::CStrings;
use super::vfork::{Spawned, Vfork};
use super::watcher::Watcher;
use super::{limits, privileges};
use crate::error::{LaunchError, Stage};
use crate::launch::{ChildStdio, Launcher, Plan, Process, Scope};
use crate::sandbox::{Confinement, Enforcement};

/// The user and group that children of a root host run as: nobody's.
const NOBODY: (u32, u32) = (65534, 65534);

const NO_FAULT: Fault = Fault { step: 0, errno: 0 };

/// Starts children confined by Landlock, seccomp, resource limits and a process
/// group that they cannot leave.
#[derive(Debug)]
pub struct NativeLauncher {
    vfork: Vfork,
    policies: Policies,
    helper: OnceLock<OwnedFd>,
    watcher: Mutex<Option<Arc<Watcher>>>,
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
    /// Returns a launcher whose children run as the host's user, or as
    /// 65534:65534 where that is root.
    pub fn new() -> Self {
        let root = rustix::process::geteuid().is_root();
        Self::with(root.then_some(NOBODY), false, NO_FAULT)
    }

    /// Returns a launcher whose children run as `uid` and `gid`, which takes a
    /// root host. Root's own ids are possible: `privileges` is then partial.
    pub fn run_as(uid: u32, gid: u32) -> Self {
        Self::with(Some((uid, gid)), false, NO_FAULT)
    }

    /// The seam of the tests: a fault at one step, clone instead of clone3.
    fn with(run_as: Option<(u32, u32)>, legacy_clone: bool, fault: Fault) -> Self {
        Self {
            vfork: Vfork::new(legacy_clone),
            policies: Policies::default(),
            helper: OnceLock::new(),
            watcher: Mutex::new(None),
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
        let mut kept = self.watcher.lock();
        if let Some(watcher) = &*kept {
            return Ok(Arc::clone(watcher));
        }
        let watcher = Watcher::new(|socket| self.start_watcher(socket));
        let watcher = Arc::new(watcher.map_err(spawn_error)?);
        *kept = Some(Arc::clone(&watcher));
        Ok(watcher)
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

    /// What a probe of this host has found; probed once.
    pub(super) fn findings(&self) -> &Findings {
        self.findings.get_or_init(|| probe::run(self))
    }

    /// Runs the helper's self-test under `policy`.
    pub(super) fn start_probe(&self, policy: &Policy) -> Result<Child, LaunchError> {
        let streams = Streams::null().map_err(spawn_error)?;
        let mut job = streams.job(self.helper().map_err(spawn_error)?, Mode::Probe);
        self.start(policy, &mut job, None)
    }
}

fn spawn_error(source: io::Error) -> LaunchError {
    LaunchError::new(Stage::Spawn, source)
}

impl Launcher for NativeLauncher {
    fn enforcement(&self, confinement: &Confinement) -> Enforcement {
        probe::report(self.findings(), confinement)
    }

    fn launch(
        &self,
        _scope: Scope,
        plan: &Plan,
        stdio: ChildStdio,
    ) -> Result<Box<dyn Process>, LaunchError> {
        let at = |stage| move |source| LaunchError::new(stage, source);
        let policy = self.policies.get(&plan.confinement, &plan.program);
        let policy = policy.map_err(at(Stage::Ruleset))?;
        let mut env = CStrings::new();
        for (name, value) in &plan.env {
            env.push(&[name, "=", value]).map_err(at(Stage::Spawn))?;
        }
        let stdin = raised(stdio.stdin).map_err(at(Stage::Stdio))?;
        let stdout = raised(stdio.stdout).map_err(at(Stage::Stdio))?;
        let stderr = raised(stdio.stderr).map_err(at(Stage::Stdio))?;
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
        };
        let mut child = self.start(&policy, &mut job, Some(self.watcher()?));
        let gone = |error: &LaunchError| {
            error.stage == Stage::Watch && error.source.kind() == io::ErrorKind::BrokenPipe
        };
        if child.as_ref().is_err_and(gone) {
            tracing::warn!(
                "the watcher was killed: if the host is killed, its present children stay"
            );
            *self.watcher.lock() = None;
            child = self.start(&policy, &mut job, Some(self.watcher()?));
        }
        Ok(Box::new(child?))
    }
}

mod start;
#[cfg(test)]
mod tests;

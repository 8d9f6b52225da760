//! The launcher: it decides by what means a child is confined, by a session where
//! the host has them, else as one process.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::{Arc, OnceLock};

use super::fd::cstrings::CStrings;
use super::fd::stdio::{AboveStdio, above_stdio, null};
use super::policy::cache::Policies;
use super::probe::findings::{Findings, Probed};
use super::probe::{report, run as probe};
use super::session::Sessions;
use super::spawner::process::Child;
use super::spawner::start::Start;
use super::spawner::{Spawner, rlimits};
use crate::confinement::{Confinement, Enforcement, Sandbox, Tier};
use crate::launch::{ChildStdio, LaunchError, Launcher, Plan, Process, Scope, Stage};

/// Starts children confined by the best [`Tier`] that the host has.
#[derive(Debug)]
pub struct NativeLauncher {
    /// The tier that the embedder demands.
    tier: Option<Tier>,
    spawner: Spawner,
    policies: Policies,
    sessions: Sessions,
    findings: OnceLock<Findings>,
}

impl NativeLauncher {
    /// Returns a launcher over `spawner`; `tier` is the tier that the embedder demands.
    pub(super) fn over(spawner: Spawner, tier: Option<Tier>) -> Self {
        Self {
            tier,
            spawner,
            policies: Policies::default(),
            sessions: Sessions::default(),
            findings: OnceLock::new(),
        }
    }

    /// What a probe of this host has found: probed once, and again where it was short of something.
    pub(crate) fn findings(&self) -> Findings {
        if let Some(findings) = self.findings.get() {
            return *findings;
        }
        // Of two first launches at once both probe.
        match probe::run(&self.spawner, self.tier) {
            Probed::Lasting(findings) => *self.findings.get_or_init(|| findings),
            Probed::Passing(findings) => findings,
        }
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
        let program = AboveStdio::new(plan.program.file.as_fd()).map_err(at(Stage::OpenProgram))?;
        let cwd = AboveStdio::new(plan.cwd.dir.as_fd()).map_err(at(Stage::WorkingDirectory))?;
        let limits = rlimits::resources(&plan.limits);
        let mut start = Start {
            program: program.as_fd(),
            argv: plan.argv.iter().map(String::as_str).collect(),
            env,
            cwd: cwd.as_fd(),
            stdio: [stdin.as_raw_fd(), stdout.as_raw_fd(), stderr.as_raw_fd()],
            limits: &limits,
        };
        let watcher = self.spawner.watcher()?;
        let mut child = self
            .spawner
            .start(&policy, &mut start, Some(Arc::clone(&watcher)));
        let gone = |error: &LaunchError| {
            error.stage == Stage::Announce && error.source.kind() == io::ErrorKind::BrokenPipe
        };
        if child.as_ref().is_err_and(gone) {
            tracing::warn!(
                "the watcher was killed: if the host is killed, its present children stay"
            );
            self.spawner.give_up(&watcher);
            child = self
                .spawner
                .start(&policy, &mut start, Some(self.spawner.watcher()?));
        }
        child
    }
}

/// A stream above the standard ones, or the null device.
fn stream(stream: Option<OwnedFd>) -> io::Result<OwnedFd> {
    above_stdio(stream.map_or_else(null, Ok)?)
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
            let child = self.sessions.launch(&self.spawner, scope, plan, &stdio)?;
            return Ok(Box::new(child));
        }
        Ok(Box::new(self.launch_alone(tier, plan, stdio)?))
    }

    fn close(&self, scope: Scope) {
        self.sessions.close(scope);
    }
}

#[cfg(test)]
mod tests;

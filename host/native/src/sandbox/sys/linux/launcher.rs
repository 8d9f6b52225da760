//! The launcher: it chooses the mechanism that confines a child, a session in tier A and a
//! single process in tiers B and C.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::{Arc, OnceLock};

use super::fd::cstrings::CStrings;
use super::fd::stdio::{AboveStdio, above_stdio, null};
use super::policy::cache::PolicyCache;
use super::probe::findings::{Findings, Probed};
use super::probe::report::report;
use super::probe::reports::Reports;
use super::probe::run as probe;
use super::session::SessionPool;
use super::spawner::process::Child;
use super::spawner::start::Start;
use super::spawner::{Spawner, rlimits};
use crate::confinement::{Confinement, Enforcement, Sandbox, Tier};
use crate::launch::{ChildStdio, LaunchError, Launcher, Plan, Process, Scope, Stage};

/// Starts children confined in the best [`Tier`] that the host supports.
#[derive(Debug)]
pub struct NativeLauncher {
    /// The tier that the embedder requires.
    tier: Option<Tier>,
    spawner: Spawner,
    policies: PolicyCache,
    sessions: SessionPool,
    /// Set by the first probe whose findings last.
    reports: OnceLock<Reports>,
}

impl NativeLauncher {
    /// Returns a launcher that uses `spawner`; `tier` is the tier that the embedder requires.
    pub(super) fn over(spawner: Spawner, tier: Option<Tier>) -> Self {
        Self {
            tier,
            spawner,
            policies: PolicyCache::default(),
            sessions: SessionPool::default(),
            reports: OnceLock::new(),
        }
    }

    /// Returns what a probe of this host found. The host is probed once, and again after
    /// each probe that failed because the host was short of a resource.
    pub(crate) fn findings(&self) -> Findings {
        self.probe()
            .map_or_else(|transient| transient, Reports::findings)
    }

    /// Returns the cache of reports about this host, or findings that do not last.
    fn probe(&self) -> Result<&Reports, Findings> {
        if let Some(reports) = self.reports.get() {
            return Ok(reports);
        }
        // Two first launches at once both probe.
        match probe::run(&self.spawner, self.tier) {
            Probed::Lasting(findings) => Ok(self.reports.get_or_init(|| Reports::new(findings))),
            Probed::Transient(findings) => Err(findings),
        }
    }

    /// Starts what `plan` says without a session, in tier B or C.
    fn launch_alone(
        &self,
        tier: Tier,
        plan: &Plan,
        stdio: ChildStdio,
    ) -> Result<Child, LaunchError> {
        plan.check_script()?;
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
        let watchdog = self.spawner.watchdog()?;
        let mut child = self
            .spawner
            .start(&policy, &mut start, Some(Arc::clone(&watchdog)));
        let watchdog_is_gone = |error: &LaunchError| {
            error.stage == Stage::Announce && error.source.kind() == io::ErrorKind::BrokenPipe
        };
        if child.as_ref().is_err_and(watchdog_is_gone) {
            tracing::warn!(
                "the watchdog process was killed and is restarted: children that run now survive if the host is killed"
            );
            self.spawner.give_up(&watchdog);
            child = self
                .spawner
                .start(&policy, &mut start, Some(self.spawner.watchdog()?));
        }
        child
    }
}

/// Returns a stream, or the null device, above the standard streams.
fn stream(stream: Option<OwnedFd>) -> io::Result<OwnedFd> {
    above_stdio(stream.map_or_else(null, Ok)?)
}

impl Launcher for NativeLauncher {
    fn enforcement(&self, confinement: &Confinement) -> Arc<Enforcement> {
        match self.probe() {
            Ok(reports) => reports.get(confinement),
            Err(transient) => Arc::new(report(&transient, confinement)),
        }
    }

    fn launch(
        &self,
        scope: Scope,
        plan: &Plan,
        stdio: ChildStdio,
    ) -> Result<Box<dyn Process>, LaunchError> {
        let tier = match plan.confinement.sandbox {
            // Nothing is confined, so no tier is needed.
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

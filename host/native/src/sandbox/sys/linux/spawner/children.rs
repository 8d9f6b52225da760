//! Children of guests that the host itself clones, in tier C and, before Linux 6.12, in tier B.
//!
//! A host without privileges clones the child, which confines itself before it executes. The
//! children of a root host must not be root, and the vfork child cannot change its user: there
//! it executes `capspawn-init`, which changes the user, at the price of a second exec. A child
//! with `sandbox = "none"` starts the same way, without a confinement.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;

use capspawn_raw::child::ChildArgs;
use capspawn_raw::confine::Confine;
use capspawn_raw::filter::FilterProgram;
use capspawn_raw::limit::LimitList;
use capspawn_raw::wire::{ExecuteArgs, InitArgs};
use rustix::pipe::{PipeFlags, pipe_with};

use super::process::Child;
use super::start::Start;
use super::watchdog::Watchdog;
use super::{Spawner, init, spawn_error};
use crate::launch::{Identity, LaunchError, Stage};
use crate::sandbox::sys::linux::fd::stdio::above_stdio;
use crate::sandbox::sys::linux::policy::cache::Policy;

impl Spawner {
    /// Starts a child under `policy` as this host needs it. `watchdog` kills the child if the
    /// host dies.
    pub(crate) fn start(
        &self,
        policy: &Policy,
        start: &mut Start<'_>,
        watchdog: Option<Arc<Watchdog>>,
    ) -> Result<Child, LaunchError> {
        match start.user.or(self.run_as) {
            None => self.start_directly(policy, start, watchdog),
            Some(user) => self.start_by_init(policy, start, watchdog, user),
        }
    }

    /// Starts a child that confines itself.
    fn start_directly(
        &self,
        policy: &Policy,
        start: &mut Start<'_>,
        watchdog: Option<Arc<Watchdog>>,
    ) -> Result<Child, LaunchError> {
        let mut arguments = start.arguments(None)?;
        let mut limits = LimitList::new();
        for limit in start.limits.iter().chain(&start.user_tasks) {
            // There is room for all.
            let _ = limits.push(*limit);
        }
        let into = start.cgroup.into;
        let args = ChildArgs {
            limits: &limits,
            has_own_attributes: true,
            announce: watchdog.as_deref().and_then(Watchdog::announce),
            confine: Some(Confine {
                lock_securebits: self.lock_securebits,
                capabilities: 0,
                ruleset: number(policy.ruleset()),
                filter: FilterProgram::new(policy.filter()),
                observer: None,
            }),
            fault: self.fault,
            ..start.child_args(&mut arguments)
        };
        let spawned = self.clone_child(&args, into, watchdog.as_deref())?;
        Ok(Child::new(spawned, watchdog))
    }

    /// Starts a child that executes `capspawn-init`, which becomes `user` and confines itself.
    fn start_by_init(
        &self,
        policy: &Policy,
        start: &mut Start<'_>,
        watchdog: Option<Arc<Watchdog>>,
        user: Identity,
    ) -> Result<Child, LaunchError> {
        let pipe = pipe_with(PipeFlags::CLOEXEC).map_err(io::Error::from);
        let (outcome, report) = pipe.map_err(spawn_error)?;
        let report = above_stdio(report).map_err(spawn_error)?;
        let init_args = ExecuteArgs {
            program: start.program.as_raw_fd(),
            report: report.as_raw_fd(),
            uid: user.uid,
            gid: user.gid,
            ruleset: number(policy.ruleset()),
            filter: number(policy.filter_file()),
            user_tasks: start.user_tasks.map_or(u32::MAX, |limit| {
                let [tasks, _] = limit.values;
                u32::try_from(tasks).unwrap_or(u32::MAX)
            }),
            fault: self.fault,
        };
        let mut keep = vec![init_args.program, init_args.report];
        keep.extend(init_args.ruleset);
        keep.extend(init_args.filter);
        let image = self.init_image().map_err(spawn_error)?;
        let mut arguments = start.arguments(Some(InitArgs::Execute(init_args)))?;
        let into = start.cgroup.into;
        let args = ChildArgs {
            has_own_attributes: true,
            program: image.as_raw_fd(),
            keep: &keep,
            announce: watchdog.as_deref().and_then(Watchdog::announce),
            fault: self.vfork_fault(),
            ..start.child_args(&mut arguments)
        };
        let spawned = self.clone_child(&args, into, watchdog.as_deref());
        let spawned = spawned.map_err(|error| match error.stage {
            // The program that could not be executed is `capspawn-init`, not the guest's.
            Stage::Exec => spawn_error(error.source),
            _ => error,
        })?;
        drop(report);
        let child = Child::new(spawned, watchdog);
        // A process that has reported a failure has exited already, or is about to.
        init::outcome(outcome).inspect_err(|_| child.wait())?;
        Ok(child)
    }
}

fn number(fd: Option<&OwnedFd>) -> Option<i32> {
    fd.map(AsRawFd::as_raw_fd)
}

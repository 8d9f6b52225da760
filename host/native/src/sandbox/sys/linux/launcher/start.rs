//! The two forms of a start, and the clone that both come down to.

#![allow(
    unsafe_code,
    reason = "prepares the raw pointers that the vfork child reads"
)]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicU32};

use rustix::pipe::{PipeFlags, pipe_with};

use super::super::child::Prepared;
use super::super::descriptors::raised;
use super::super::helper::{self, Mode, Orders};
use super::super::job::{Form, Job, Streams};
use super::super::policies::Policy;
use super::super::process::Child;
use super::super::steps::{Confine, Fault, FilterProgram, Step};
use super::super::strings::CStrings;
use super::super::vfork::Spawned;
use super::super::watcher::Watcher;
use super::{NO_FAULT, NativeLauncher, spawn_error};
use crate::error::{LaunchError, Stage};

/// What a session's processes start with. Descriptors are 3 or higher.
pub(in super::super) struct SessionFiles<'a> {
    /// The configuration.
    pub(in super::super) configuration: BorrowedFd<'a>,
    /// The socket on which the server is asked.
    pub(in super::super) control: BorrowedFd<'a>,
    /// The socket that pid 1 ends with.
    pub(in super::super) lifeline: BorrowedFd<'a>,
    /// The socket on which children say that they are there.
    pub(in super::super) words: BorrowedFd<'a>,
    /// The grant's Landlock ruleset, if any.
    pub(in super::super) ruleset: Option<&'a OwnedFd>,
}

impl NativeLauncher {
    /// Starts `job` under `policy` in the form that this host needs.
    pub(super) fn start(
        &self,
        policy: &Policy,
        job: &mut Job<'_>,
        watcher: Option<Arc<Watcher>>,
    ) -> Result<Child, LaunchError> {
        match self.run_as {
            None => self.start_directly(policy, job, watcher),
            Some(user) => self.start_by_helper(policy, job, watcher, user),
        }
    }

    /// The vfork child confines itself.
    pub(super) fn start_directly(
        &self,
        policy: &Policy,
        job: &mut Job<'_>,
        watcher: Option<Arc<Watcher>>,
    ) -> Result<Child, LaunchError> {
        let mut argv = CStrings::new();
        if job.mode == Mode::Probe {
            argv.push(&[&self.orders(job).encode()])
                .map_err(spawn_error)?;
        }
        job.push_arguments(&mut argv)?;
        let confine = Confine {
            lock_securebits: self.lock_securebits,
            ruleset: helper::number(policy.ruleset.as_ref()),
            filter: FilterProgram {
                len: u16::try_from(policy.filter.len()).unwrap_or(u16::MAX),
                code: policy.filter.as_ptr(),
            },
        };
        let watching = watcher.as_deref();
        let form = Form {
            program: job.program,
            confine: Some(confine),
            keep: &[],
            watcher: watching,
        };
        let spawned = self.clone_child(job, &mut argv, &form, self.fault)?;
        Ok(Child::new(spawned, watcher))
    }

    /// The vfork child executes the helper, which changes its user and confines itself.
    pub(super) fn start_by_helper(
        &self,
        policy: &Policy,
        job: &mut Job<'_>,
        watcher: Option<Arc<Watcher>>,
        (uid, gid): (u32, u32),
    ) -> Result<Child, LaunchError> {
        let pipe = pipe_with(PipeFlags::CLOEXEC).map_err(io::Error::from);
        let (status, report) = pipe.map_err(spawn_error)?;
        let report = raised(report).map_err(spawn_error)?;
        let orders = Orders {
            confine: true,
            ruleset: helper::number(policy.ruleset.as_ref()),
            filter: helper::number(policy.filter_file.as_ref()),
            status: report.as_raw_fd(),
            uid,
            gid,
            ..self.orders(job)
        };
        let mut keep = vec![orders.program, orders.status];
        keep.extend(
            [orders.ruleset, orders.filter]
                .into_iter()
                .filter(|fd| *fd >= 0),
        );
        let mut argv = CStrings::new();
        argv.push(&[&orders.encode()]).map_err(spawn_error)?;
        job.push_arguments(&mut argv)?;
        let form = Form {
            program: self.helper().map_err(spawn_error)?,
            confine: None,
            keep: &keep,
            watcher: watcher.as_deref(),
        };
        let spawned = self.clone_child(job, &mut argv, &form, self.childs_fault());
        let spawned = spawned.map_err(|error| match error.stage {
            // The program that could not be executed is the helper, not the guest's.
            Stage::Exec => spawn_error(error.source),
            _ => error,
        })?;
        drop(report);
        let child = Child::new(spawned, watcher);
        // A helper that reports has exited already, or is about to.
        helper::outcome(status).inspect_err(|_| child.wait())?;
        Ok(child)
    }

    /// Starts the helper as a session.
    pub(in super::super) fn start_session(
        &self,
        files: &SessionFiles<'_>,
        fault: Fault,
    ) -> Result<Spawned, LaunchError> {
        let streams = Streams::null().map_err(spawn_error)?;
        let mut job = streams.job(self.helper().map_err(spawn_error)?, Mode::Session);
        let orders = Orders {
            program: files.configuration.as_raw_fd(),
            status: files.control.as_raw_fd(),
            filter: files.lifeline.as_raw_fd(),
            words: files.words.as_raw_fd(),
            ruleset: helper::number(files.ruleset),
            fault,
            ..self.orders(&job)
        };
        let mut keep = vec![orders.program, orders.status, orders.filter, orders.words];
        keep.extend((orders.ruleset >= 0).then_some(orders.ruleset));
        let mut argv = CStrings::new();
        argv.push(&[&orders.encode()]).map_err(spawn_error)?;
        let form = Form {
            program: job.program,
            confine: None,
            keep: &keep,
            watcher: None,
        };
        self.clone_child(&mut job, &mut argv, &form, NO_FAULT)
            .map_err(|error| spawn_error(error.source))
    }

    /// The user and the group of children, and whether the host has to become them.
    pub(in super::super) fn user(&self) -> (u32, u32, bool) {
        let own = || {
            let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
            (uid.as_raw(), gid.as_raw(), false)
        };
        self.run_as.map_or_else(own, |(uid, gid)| (uid, gid, true))
    }

    /// The fault that the tests have arranged.
    pub(in super::super) fn fault(&self) -> Fault {
        self.fault
    }

    /// Orders without a change of user and without a confinement.
    pub(super) fn orders(&self, job: &Job<'_>) -> Orders {
        Orders {
            mode: job.mode,
            confine: false,
            program: job.program.as_raw_fd(),
            ruleset: -1,
            filter: -1,
            status: -1,
            uid: 0,
            gid: 0,
            canary: job.canary,
            words: -1,
            fault: self.fault,
        }
    }

    /// The fault, if it is in a step that the vfork child takes before it starts the helper.
    pub(super) fn childs_fault(&self) -> Fault {
        let own = |step: u32| step <= Step::Limits as u32 || step == Step::Watch as u32;
        if own(self.fault.step) {
            self.fault
        } else {
            NO_FAULT
        }
    }

    pub(super) fn clone_child(
        &self,
        job: &mut Job<'_>,
        argv: &mut CStrings,
        form: &Form<'_>,
        fault: Fault,
    ) -> Result<Spawned, LaunchError> {
        let prepared = Prepared {
            has_handlers: true,
            stdio: job.stdio,
            cwd: job.cwd.as_raw_fd(),
            affinity: std::ptr::null(),
            limits: job.limits,
            keep: form.keep,
            key: [0; 2],
            watcher: form.watcher.map_or(-1, Watcher::descriptor),
            confine: form.confine,
            program: form.program.as_raw_fd(),
            argv: argv.as_ptr(),
            envp: job.env.as_ptr(),
            fault,
            failed_step: AtomicU32::new(0),
            failed_errno: AtomicI32::new(0),
        };
        let failed = |child: &Spawned| {
            if let Some(watcher) = form.watcher {
                watcher.forget(child);
            }
        };
        // SAFETY: descriptors, arrays and filter belong to this function's arguments, which outlive the call; the
        // descriptors are 3 or higher, because each went through `raised` or `Above`.
        unsafe { self.vfork.spawn(&prepared, failed) }
    }
}

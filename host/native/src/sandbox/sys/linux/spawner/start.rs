//! What is started: children of guests in two forms, the watcher, the probe's
//! processes, and sessions.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use capspawn_raw::steps::{Confine, Fault, FilterProgram};
use rustix::pipe::{PipeFlags, pipe_with};

use super::helper::{self, Mode, Orders};
use super::job::{Form, Job, Streams};
use super::process::Child;
use super::vfork::Spawned;
use super::watcher::Watcher;
use super::{NO_FAULT, Spawner, spawn_error};
use crate::launch::{Identity, LaunchError, Plan, Program, Stage, WorkingDirectory};
use crate::sandbox::sys::linux::fd::cstrings::CStrings;
use crate::sandbox::sys::linux::fd::stdio::raised;
use crate::sandbox::sys::linux::policy::cache::Policy;

/// What a session's processes start with. Descriptors are 3 or higher.
pub(crate) struct SessionFiles<'a> {
    /// The configuration.
    pub(crate) configuration: BorrowedFd<'a>,
    /// The socket on which the server is asked.
    pub(crate) control: BorrowedFd<'a>,
    /// The socket that pid 1 ends with.
    pub(crate) lifeline: BorrowedFd<'a>,
    /// The socket on which children say that they are there.
    pub(crate) words: BorrowedFd<'a>,
    /// The grant's Landlock ruleset, if any.
    pub(crate) ruleset: Option<&'a OwnedFd>,
}

impl Spawner {
    /// The watcher, started now if none runs.
    pub(crate) fn watcher(&self) -> Result<Arc<Watcher>, LaunchError> {
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
    pub(crate) fn give_up(&self, failed: &Arc<Watcher>) {
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

    /// Runs the helper's self-test under `policy`, against the process `canary`.
    pub(crate) fn start_probe(&self, policy: &Policy, canary: u32) -> Result<Child, LaunchError> {
        let streams = Streams::null().map_err(spawn_error)?;
        let mut job = streams.job(self.helper().map_err(spawn_error)?, Mode::Probe);
        job.canary = canary;
        self.start(policy, &mut job, None)
    }

    /// Starts a process of the children's user that does nothing until `stdin` ends.
    pub(crate) fn start_canary(&self, stdin: BorrowedFd<'_>) -> Result<Child, LaunchError> {
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
    pub(crate) fn session_probe(&self, canary: u32) -> io::Result<Plan> {
        let streams = Streams::null()?;
        let helper = self.helper()?;
        let mut job = streams.job(helper, Mode::ProbeSession);
        job.canary = canary;
        let program = Program {
            path: "/probe".into(),
            file: helper.try_clone_to_owned()?.into(),
        };
        let cwd = WorkingDirectory {
            path: "/".into(),
            dir: Arc::new(streams.root()?),
            named: true,
        };
        Ok(Plan {
            argv: vec![self.orders(&job).encode()],
            ..Plan::new("probe", program, cwd)
        })
    }

    /// Starts `job` under `policy` in the form that this host needs.
    pub(crate) fn start(
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
    pub(crate) fn start_directly(
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
    pub(crate) fn start_by_helper(
        &self,
        policy: &Policy,
        job: &mut Job<'_>,
        watcher: Option<Arc<Watcher>>,
        user: Identity,
    ) -> Result<Child, LaunchError> {
        let pipe = pipe_with(PipeFlags::CLOEXEC).map_err(io::Error::from);
        let (status, report) = pipe.map_err(spawn_error)?;
        let report = raised(report).map_err(spawn_error)?;
        let orders = Orders {
            confine: true,
            ruleset: helper::number(policy.ruleset.as_ref()),
            filter: helper::number(policy.filter_file.as_ref()),
            status: report.as_raw_fd(),
            uid: user.uid,
            gid: user.gid,
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
    pub(crate) fn start_session(
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
}

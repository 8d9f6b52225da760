//! The host's own processes, all of them of `capspawn-init`: the watchdog, the probe with its
//! canary, and sessions.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use capspawn_raw::child::ChildArgs;
use capspawn_raw::step::Fault;
use capspawn_raw::wire::{InitArgs, SessionArgs};

use super::alone::AloneServers;
use super::process::Child;
use super::start::{Membership, Surroundings};
use super::watchdog::Watchdog;
use super::{Spawner, spawn_error};
use crate::launch::{LaunchError, Plan, Program, Stage, WorkingDirectory};
use crate::sandbox::sys::linux::policy::cache::Policy;
use crate::sandbox::sys::linux::server::{Announcements, START_TIME};
use crate::sandbox::sys::linux::spawned::Spawned;

/// What a session's processes inherit. Every descriptor is 3 or higher.
pub(crate) struct SessionFiles<'a> {
    /// The configuration.
    pub(crate) configuration: BorrowedFd<'a>,
    /// The socket on which the server takes requests.
    pub(crate) control: BorrowedFd<'a>,
    /// The socket with which pid 1 ends.
    pub(crate) lifeline: BorrowedFd<'a>,
    /// The socket on which children announce themselves.
    pub(crate) announcements: BorrowedFd<'a>,
    /// The grant's Landlock ruleset, if there is one.
    pub(crate) ruleset: Option<&'a OwnedFd>,
    /// The mounts that the host has made for the session's root.
    pub(crate) mounts: Vec<BorrowedFd<'a>>,
}

impl Spawner {
    /// Returns the watchdog, which is started now if none runs.
    pub(crate) fn watchdog(&self) -> Result<Arc<Watchdog>, LaunchError> {
        if let Some(watchdog) = &*self.watchdog.lock() {
            return Ok(Arc::clone(watchdog));
        }
        // Not under the lock: it starts a process. Two first launches at once start one watchdog too many.
        let started = Watchdog::new(|socket| self.start_watchdog(socket));
        let started = Arc::new(started.map_err(spawn_error)?);
        let mut kept = self.watchdog.lock();
        let watchdog = Arc::clone(kept.get_or_insert_with(|| Arc::clone(&started)));
        drop(kept);
        Ok(watchdog)
    }

    /// Drops a watchdog that has failed, unless another has already taken its place.
    pub(crate) fn give_up(&self, failed: &Arc<Watchdog>) {
        let mut kept = self.watchdog.lock();
        let is_failed = |watchdog: &mut Arc<Watchdog>| Arc::ptr_eq(watchdog, failed);
        let gone = kept.take_if(is_failed);
        drop(kept);
        // Not under the lock: dropping the last reference waits for the end of the process.
        drop(gone);
    }

    /// Returns the servers of children outside a session, which are started now if none run.
    pub(crate) fn alone_servers(&self) -> Result<Arc<AloneServers>, LaunchError> {
        if let Some(servers) = &*self.alone.lock() {
            return Ok(Arc::clone(servers));
        }
        // Not under the lock: it starts a process. Two first launches at once start one too many.
        let cgroup = self.cgroups().servers();
        let cgroup = cgroup.map_err(|source| LaunchError::new(Stage::Cgroup, source))?;
        let announcements = self.announcements();
        let announcements =
            announcements.map_err(|source| LaunchError::new(Stage::Spawn, source))?;
        let started = AloneServers::new(announcements, START_TIME, |args, keep| {
            let membership = cgroup.as_ref().map(Membership::of).unwrap_or_default();
            self.start_init(args, keep, membership)
        })?;
        let started = Arc::new(started);
        let mut kept = self.alone.lock();
        let servers = Arc::clone(kept.get_or_insert_with(|| Arc::clone(&started)));
        drop(kept);
        Ok(servers)
    }

    /// Returns the socket on which the children of servers announce themselves.
    pub(crate) fn announcements(&self) -> io::Result<Arc<Announcements>> {
        if let Some(announcements) = self.announcements.get() {
            return Ok(Arc::clone(announcements));
        }
        // Two first launches at once make one too many, which is dropped.
        let made = Arc::new(Announcements::new()?);
        Ok(Arc::clone(self.announcements.get_or_init(|| made)))
    }

    /// Drops servers that have failed, unless others have already taken their place.
    pub(crate) fn give_up_servers(&self, failed: &Arc<AloneServers>) {
        let mut kept = self.alone.lock();
        let gone = kept.take_if(|servers| Arc::ptr_eq(servers, failed));
        drop(kept);
        drop(gone);
    }

    fn start_watchdog(&self, socket: BorrowedFd<'_>) -> io::Result<Spawned> {
        let socket = socket.as_raw_fd();
        self.start_init(InitArgs::Watch { socket }, &[socket], Membership::default())
            .map_err(|error| error.source)
    }

    /// Starts a process that holds a user namespace until `socket` ends.
    pub(crate) fn start_id_map(&self, socket: BorrowedFd<'_>) -> io::Result<Spawned> {
        let socket = socket.as_raw_fd();
        self.start_init(
            InitArgs::MapIds { socket },
            &[socket],
            Membership::default(),
        )
        .map_err(|error| error.source)
    }

    /// Starts the probe under `policy`; it tries to signal the process `canary`.
    pub(crate) fn start_probe(&self, policy: &Policy, canary: u32) -> Result<Child, LaunchError> {
        let args = InitArgs::Probe {
            canary,
            in_session: false,
            free_groups: policy.has_free_groups(),
        };
        self.start_confined_init(args, policy, None)
    }

    /// Starts a process of the children's user that does nothing until `stdin` ends.
    pub(crate) fn start_canary(&self, stdin: BorrowedFd<'_>) -> Result<Child, LaunchError> {
        // A watchdog without groups. Starting it as a child makes sure that it has become that user when this returns.
        self.start_confined_init(InitArgs::Watch { socket: 0 }, &Policy::open(), Some(stdin))
    }

    /// Returns the plan of the probe that a server starts, in a session or outside; it tries to signal the process
    /// `canary`.
    pub(crate) fn probe_plan(
        &self,
        canary: u32,
        in_session: bool,
        free_groups: bool,
    ) -> io::Result<Plan> {
        let args = InitArgs::Probe {
            canary,
            in_session,
            free_groups,
        };
        let program = Program {
            path: "/probe".into(),
            file: self.init_image()?.try_clone_to_owned()?.into(),
        };
        Ok(Plan {
            argv: vec![args.encode().as_str().into()],
            ..Plan::new("probe", program, WorkingDirectory::open("/")?)
        })
    }

    /// Starts the processes of a session.
    pub(crate) fn start_session(
        &self,
        files: &SessionFiles<'_>,
        cgroup: Membership<'_>,
        fault: Fault,
    ) -> Result<Spawned, LaunchError> {
        let args = SessionArgs {
            configuration: files.configuration.as_raw_fd(),
            control: files.control.as_raw_fd(),
            lifeline: files.lifeline.as_raw_fd(),
            announcements: files.announcements.as_raw_fd(),
            ruleset: files.ruleset.map(AsRawFd::as_raw_fd),
            fault,
        };
        let mut keep = vec![
            args.configuration,
            args.control,
            args.lifeline,
            args.announcements,
        ];
        keep.extend(args.ruleset);
        keep.extend(files.mounts.iter().map(AsRawFd::as_raw_fd));
        self.start_init(InitArgs::Session(args), &keep, cgroup)
            .map_err(|error| spawn_error(error.source))
    }

    /// Starts `capspawn-init` unconfined, as the host's user.
    fn start_init(
        &self,
        args: InitArgs,
        keep: &[i32],
        cgroup: Membership<'_>,
    ) -> Result<Spawned, LaunchError> {
        let surroundings = Surroundings::open().map_err(spawn_error)?;
        let mut start = surroundings.start(self.init_image().map_err(spawn_error)?);
        let into = cgroup.into;
        start.cgroup = cgroup;
        let mut arguments = start.arguments(Some(args))?;
        let args = ChildArgs {
            keep,
            ..start.child_args(&mut arguments)
        };
        self.clone_child(&args, into, None)
    }

    /// Starts `capspawn-init` as a child of a guest would start.
    fn start_confined_init(
        &self,
        args: InitArgs,
        policy: &Policy,
        stdin: Option<BorrowedFd<'_>>,
    ) -> Result<Child, LaunchError> {
        let surroundings = Surroundings::open().map_err(spawn_error)?;
        let args = args.encode();
        let mut start = surroundings.start(self.init_image().map_err(spawn_error)?);
        start.argv.push(OsStr::new(args.as_str()));
        if let Some(stdin) = stdin {
            start.stdio[0] = stdin.as_raw_fd();
        }
        self.start(policy, &mut start, None)
    }
}

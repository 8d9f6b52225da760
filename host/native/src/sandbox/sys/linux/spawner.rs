//! Starts processes of the host: children outside a session, and the host's own.
//!
//! A child is cloned with the host's memory shared and prepares itself by system calls
//! alone ([`vfork`]); where it needs another user it executes `capspawn-init` first
//! ([`init`]). Rejected: `std::process::Command`. Its `pre_exec` forks, which copies the page
//! tables of the whole host.

mod adopted;
pub(crate) mod alone;
mod by_server;
mod children;
mod exit_info;
pub(crate) mod init;
mod marks;
mod peek;
pub(crate) mod privileges;
pub(crate) mod process;
pub(crate) mod rlimits;
pub(crate) mod services;
mod stack;
mod stage;
pub(crate) mod start;
mod tasks;
pub(crate) mod tree;
pub(crate) mod vfork;
pub(crate) mod watchdog;

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, OnceLock};

use capspawn_raw::child::ChildArgs;
use capspawn_raw::limit::Limit;
use capspawn_raw::step::{Fault, Step};
use parking_lot::Mutex;

use self::alone::AloneServers;
use self::marks::Marks;
use self::privileges::CannotSignal;
use self::tasks::UserTasks;
use self::tree::Tree;
use self::vfork::Vfork;
use self::watchdog::Watchdog;
use super::cgroup::Cgroups;
use super::fd::stdio::above_stdio;
use super::owners::Owners;
use super::server::Announcements;
use super::spawned::Spawned;
use crate::launch::{Identity, LaunchError, Observer, OwnerUids, Stage};
use crate::limits::Limits;

/// Returns the user that children become by default: nobody, if the host is root.
pub(crate) fn default_user() -> Option<Identity> {
    let is_root = rustix::process::geteuid().is_root();
    is_root.then_some(Identity::NOBODY)
}

/// Starts processes of the host, of which some become children of guests.
#[derive(Debug)]
pub(crate) struct Spawner {
    vfork: Vfork,
    /// The sealed memfd with `capspawn-init`.
    init_image: OnceLock<OwnedFd>,
    /// Made by the first session, or the first server.
    announcements: OnceLock<Arc<Announcements>>,
    watchdog: Mutex<Option<Arc<Watchdog>>>,
    alone: Mutex<Option<Arc<AloneServers>>>,
    tasks: UserTasks,
    /// The user that children become. `None` for the host's own, for which the vfork child confines itself.
    run_as: Option<Identity>,
    /// A user for each owner, where children of different owners run as different users.
    owners: Option<Owners>,
    lock_securebits: bool,
    cgroups: Cgroups,
    marks: Marks,
    /// Whether orphans become children of this process.
    adopts: bool,
    observer: Option<Observer>,
    fault: Fault,
}

impl Spawner {
    /// Returns a spawner whose children run as `run_as`, or as the host's user. Tests also
    /// choose the older clone, and a step that fails.
    pub(crate) fn new(run_as: Option<Identity>, legacy_clone: bool, fault: Fault) -> Self {
        let adopts = privileges::adopts();
        Self {
            vfork: Vfork::new(legacy_clone),
            init_image: OnceLock::new(),
            announcements: OnceLock::new(),
            watchdog: Mutex::new(None),
            alone: Mutex::new(None),
            tasks: UserTasks::default(),
            run_as,
            owners: None,
            lock_securebits: privileges::may_lock_securebits(),
            cgroups: Cgroups::default(),
            marks: Marks::new(adopts),
            adopts,
            observer: None,
            fault,
        }
    }

    /// Returns the same spawner, whose children run as a user of their owner's where they can.
    pub(crate) fn with_owners(mut self, uids: OwnerUids) -> Self {
        self.owners = Some(Owners::new(uids));
        self
    }

    /// Returns the same spawner, whose children are observed.
    pub(crate) fn with_observer(mut self, observer: Observer) -> Self {
        self.observer = Some(observer);
        self
    }

    /// Returns what is recorded of children, if they are observed.
    pub(crate) fn observer(&self) -> Option<Observer> {
        self.observer
    }

    /// Returns the owners, if each has a user of its own.
    pub(crate) fn owners(&self) -> Option<&Owners> {
        self.owners.as_ref()
    }

    /// Whether children run with the user id 0.
    pub(crate) fn keeps_root(&self) -> bool {
        let own = rustix::process::geteuid().as_raw();
        self.run_as.map_or(own, |user| user.uid) == 0
    }

    /// Returns the user that children run as, and whether a process has to change to it.
    pub(crate) fn user(&self) -> (Identity, bool) {
        match self.run_as {
            Some(user) => (user, true),
            None => (Identity::host(), false),
        }
    }

    /// Returns the most tasks that `user` may have when it starts a child outside a session, by the
    /// child's `limits`.
    pub(crate) fn user_tasks(&self, limits: &Limits, user: Identity) -> Option<Limit> {
        let tasks = self.tasks.limit(user.uid, limits.processes?)?;
        Some(rlimits::user_tasks(tasks))
    }

    /// Checks that this thread may end a child.
    ///
    /// # Errors
    ///
    /// The child has another user, and the host has no right to signal it.
    pub(crate) fn check_right_to_signal(&self) -> Result<(), LaunchError> {
        let has_right = self.run_as.is_none() || privileges::may_signal_others();
        match has_right {
            true => Ok(()),
            false => Err(spawn_error(io::Error::other(CannotSignal))),
        }
    }

    /// Whether trees have a mark, by which `/proc` shows what is theirs.
    pub(crate) fn can_mark() -> bool {
        marks::can_mark()
    }

    /// Returns the step that the tests make fail.
    pub(crate) fn fault(&self) -> Fault {
        self.fault
    }

    /// Makes another step fail.
    #[cfg(test)]
    pub(crate) fn set_fault(&mut self, fault: Fault) {
        self.fault = fault;
    }

    /// Returns the fault if the vfork child takes its step before it executes `capspawn-init`.
    fn vfork_fault(&self) -> Fault {
        match self.fault.step {
            Some(
                Step::Signals
                | Step::Announce
                | Step::Cgroup
                | Step::Setsid
                | Step::Stdio
                | Step::Descriptors
                | Step::WorkingDirectory
                | Step::Limits,
            ) => self.fault,
            _ => Fault::NONE,
        }
    }

    /// Makes no cgroups.
    pub(crate) fn without_cgroups(mut self) -> Self {
        self.cgroups = Cgroups::off();
        self
    }

    /// Returns the cgroups of this host's children.
    pub(crate) fn cgroups(&self) -> &Cgroups {
        &self.cgroups
    }

    /// Returns what is to name the tree of a child of `user` with these limits: a mark, and a
    /// cgroup where the host can make one.
    pub(crate) fn assign_tree(&self, limits: &Limits, user: Identity) -> Result<Tree, LaunchError> {
        let cgroup = self.cgroups.assign(limits, user, self.vfork.has_clone3());
        let cgroup = cgroup.map_err(|source| LaunchError::new(Stage::Cgroup, source))?;
        Ok(Tree::new(cgroup, self.marks.next(user.uid)))
    }

    fn init_image(&self) -> io::Result<BorrowedFd<'_>> {
        if let Some(image) = self.init_image.get() {
            return Ok(image.as_fd());
        }
        let image = above_stdio(init::image()?)?;
        Ok(self.init_image.get_or_init(|| image).as_fd())
    }

    /// Clones a child, into the cgroup `into` where there is one. If one fails before it executes, `watchdog` forgets its group.
    fn clone_child(
        &self,
        args: &ChildArgs<'_>,
        into: Option<BorrowedFd<'_>>,
        watchdog: Option<&Watchdog>,
    ) -> Result<Spawned, LaunchError> {
        self.vfork.spawn(args, into, |child| {
            if let Some(watchdog) = watchdog {
                watchdog.forget(child);
            }
        })
    }
}

fn spawn_error(source: io::Error) -> LaunchError {
    LaunchError::new(Stage::Spawn, source)
}

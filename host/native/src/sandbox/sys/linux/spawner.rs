//! The mechanism behind every child that is not one of a session: clone, helper
//! image, user.
//!
//! A host without privileges clones the child, which confines itself before it
//! executes. A root host's children must not be root, and a change of user in the
//! vfork child would make the host undumpable: there `capspawn-init` changes the
//! user, at the price of a second exec. A child of `sandbox = "none"` takes the
//! same way: it has no confinement to share.

#![allow(
    unsafe_code,
    reason = "prepares the raw pointers that the vfork child reads"
)]

pub(crate) mod exit_info;
pub(crate) mod helper;
pub(crate) mod job;
mod privileges;
pub(crate) mod process;
pub(crate) mod rlimits;
pub(crate) mod start;
pub(crate) mod vfork;
pub(crate) mod watcher;

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicI32, AtomicU32};
use std::sync::{Arc, OnceLock};

use capspawn_raw::child::Prepared;
use capspawn_raw::steps::{Fault, Step};
use parking_lot::Mutex;

use self::helper::Orders;
use self::job::{Form, Job};
use self::vfork::{Spawned, Vfork};
use self::watcher::Watcher;
use super::fd::cstrings::CStrings;
use super::fd::stdio::raised;
use crate::launch::{Identity, LaunchError, Stage};

/// No fault, as outside of tests.
pub(crate) const NO_FAULT: Fault = Fault { step: 0, errno: 0 };

/// The user that children become by default: nobody's where the host is root.
pub(crate) fn default_user() -> Option<Identity> {
    let is_root = rustix::process::geteuid().is_root();
    is_root.then_some(Identity::NOBODY)
}

/// Starts processes of the host, of which some become children of guests.
#[derive(Debug)]
pub(crate) struct Spawner {
    vfork: Vfork,
    helper: OnceLock<OwnedFd>,
    watcher: Mutex<Option<Arc<Watcher>>>,
    /// The user that the helper becomes; none where the vfork child confines itself.
    run_as: Option<Identity>,
    lock_securebits: bool,
    fault: Fault,
}

impl Spawner {
    /// Returns a spawner whose children run as `run_as`. The tests also choose the
    /// older clone and a fault at one step.
    pub(crate) fn new(run_as: Option<Identity>, legacy_clone: bool, fault: Fault) -> Self {
        Self {
            vfork: Vfork::new(legacy_clone),
            helper: OnceLock::new(),
            watcher: Mutex::new(None),
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

    /// Whether children run with the user id 0.
    pub(crate) fn keeps_root(&self) -> bool {
        let own = rustix::process::geteuid().as_raw();
        self.run_as.map_or(own, |user| user.uid) == 0
    }

    /// The user that children run as, and whether the helper has to become it.
    pub(crate) fn user(&self) -> (Identity, bool) {
        match self.run_as {
            Some(user) => (user, true),
            None => (Identity::host(), false),
        }
    }

    /// The fault that the tests have arranged.
    pub(crate) fn fault(&self) -> Fault {
        self.fault
    }

    /// Arranges another fault.
    #[cfg(test)]
    pub(crate) fn set_fault(&mut self, fault: Fault) {
        self.fault = fault;
    }

    /// Orders without a change of user and without a confinement.
    pub(crate) fn orders(&self, job: &Job<'_>) -> Orders {
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
    pub(crate) fn childs_fault(&self) -> Fault {
        let own = |step: u32| step <= Step::Limits as u32 || step == Step::Watch as u32;
        if own(self.fault.step) {
            self.fault
        } else {
            NO_FAULT
        }
    }

    pub(crate) fn clone_child(
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

pub(crate) fn spawn_error(source: io::Error) -> LaunchError {
    LaunchError::new(Stage::Spawn, source)
}

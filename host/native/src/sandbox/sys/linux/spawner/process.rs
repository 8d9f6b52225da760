//! A started child, referred to by its pidfd.
//!
//! A pid may belong to another process once the child is reaped; a pidfd never does. The
//! child's [`Tree`] has no descriptor.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{WaitId, WaitIdOptions, pidfd_send_signal, test_kill_process, waitid};

use super::exit_info;
use super::peek::peek;
use super::tree::Tree;
use super::watchdog::Watchdog;
use crate::launch::{Exit, Observation, Process, TreeCounters, TreeMark};
use crate::sandbox::sys::linux::observe::Log;
use crate::sandbox::sys::linux::owners::Lease;
use crate::sandbox::sys::linux::signal::{raw, unless_gone};
use crate::sandbox::sys::linux::spawned::Spawned;
use crate::sandbox::sys::linux::tmp::GuestTmp;
use crate::status::{KillReason, Signal};

/// A child, and the watchdog to which it has announced its group.
#[derive(Debug)]
pub(crate) struct Child {
    spawned: Spawned,
    watchdog: Option<Arc<Watchdog>>,
    tree: Tree,
    /// Its owner's user id, kept as long as the child.
    lease: Option<Arc<Lease>>,
    /// Its guest's temporary directory, kept as long as the child.
    tmp: Option<Arc<GuestTmp>>,
    /// What it is seen to use, if it is observed.
    log: Option<Arc<Log>>,
    /// The processor time of the ended leader.
    cpu: OnceLock<Duration>,
}

impl Child {
    pub(crate) fn new(spawned: Spawned, watchdog: Option<Arc<Watchdog>>) -> Self {
        Self {
            spawned,
            watchdog,
            tree: Tree::default(),
            lease: None,
            tmp: None,
            log: None,
            cpu: OnceLock::new(),
        }
    }

    /// Returns the child with what names its tree.
    #[must_use]
    pub(crate) fn with_tree(mut self, tree: Tree) -> Self {
        tree.set_leader(self.spawned.pid);
        self.tree = tree;
        self
    }

    /// Returns the child with what it is seen to use.
    #[must_use]
    pub(crate) fn with_log(mut self, log: Option<Arc<Log>>) -> Self {
        self.log = log;
        self
    }

    /// Keeps the user id that the child has until the child is dropped.
    pub(crate) fn keep(&mut self, lease: Option<Arc<Lease>>) {
        self.lease = lease;
    }

    /// Keeps the temporary directory that the child has until the child is dropped.
    pub(crate) fn keep_tmp(&mut self, tmp: Option<Arc<GuestTmp>>) {
        self.tmp = tmp;
    }

    /// Checks whether this process has the right to signal the child. Similar to `kill` with
    /// the signal 0.
    pub(crate) fn may_signal(&self) -> Result<(), Errno> {
        test_kill_process(self.spawned.pid)
    }

    /// Waits until the child has ended, and reaps it.
    pub(crate) fn wait(&self) {
        self.forget();
        self.spawned.wait();
    }

    /// Sends `signal` to the tree, as [`Tree::signal`].
    pub(crate) fn signal_named_tree(&self, signal: Signal) -> io::Result<()> {
        // The processor time is known once the end was seen.
        let has_ended = self.cpu.get().is_some();
        self.tree.signal(&self.spawned, has_ended, signal)
    }

    /// Reaps the leader if it has ended, and returns whether it is gone.
    pub(crate) fn try_reap(&self) -> io::Result<bool> {
        // The watchdog forgets only a child that is about to be reaped.
        match self.try_exit() {
            Ok(None) => return Ok(false),
            // Other code has reaped it, and the kernel does not keep the status.
            Err(error) if error.raw_os_error() != Some(libc::ECHILD) => return Err(error),
            _ => {}
        }
        self.forget();
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
        match waitid(WaitId::PidFd(self.spawned.pidfd.as_fd()), options) {
            // On ECHILD other code has reaped it.
            Ok(_) | Err(Errno::CHILD) => {
                // Notes it, so that the tree's server kills nothing.
                let _ = self.tree.is_empty();
                Ok(true)
            }
            Err(errno) => Err(errno.into()),
        }
    }

    /// Takes the group back: once the leader is reaped, its number may be another group's.
    fn forget(&self) {
        if let Some(watchdog) = &self.watchdog {
            watchdog.forget(&self.spawned);
        }
    }
}

impl Process for Child {
    fn pid(&self) -> u32 {
        self.spawned.pid.as_raw_nonzero().get().unsigned_abs()
    }

    fn exit_fd(&self) -> BorrowedFd<'_> {
        self.spawned.pidfd.as_fd()
    }

    fn try_exit(&self) -> io::Result<Option<Exit>> {
        let pidfd = self.spawned.pidfd.as_fd();
        match peek(pidfd) {
            Ok(None) => Ok(None),
            Ok(Some((exit, cpu))) => {
                let _ = self.cpu.set(cpu);
                Ok(Some(exit))
            }
            Err(error) if error.raw_os_error() == Some(libc::ECHILD) => {
                exit_info::of_reaped(pidfd).map(Some).ok_or(error)
            }
            Err(error) => Err(error),
        }
    }

    fn ended_cpu(&self) -> Option<Duration> {
        self.cpu.get().copied()
    }

    fn signal(&self, signal: Signal) -> io::Result<()> {
        unless_gone(pidfd_send_signal(&self.spawned.pidfd, raw(signal)))
    }

    fn signal_tree(&self, signal: Signal) -> io::Result<()> {
        // If its server was killed, nothing but the mark names the tree.
        self.signal_named_tree(signal)
            .or_else(|error| match self.tree.signal_marked(signal) {
                true => Ok(()),
                false => Err(error),
            })
    }

    fn mark(&self) -> Option<TreeMark> {
        self.tree.mark()
    }

    fn counters(&self) -> TreeCounters {
        self.tree.counters()
    }

    fn observations(&self, killed: Option<KillReason>) -> Vec<Observation> {
        let log = self.log.as_ref();
        log.map_or_else(Vec::new, |log| log.finished(killed))
    }

    fn reap(&self) -> io::Result<()> {
        self.try_reap().map(drop)
    }
}

//! A child in a session.
//!
//! The server starts it as a child of the host, so the host holds it by its pidfd and
//! reaps it, like a child that the host has cloned. In addition it holds its session:
//! when the session ends, the kernel kills the child, and that is not reported as a
//! signal that some process sent.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::instance::Session;
use crate::launch::{
    ChildStdio, Exit, LaunchError, Observation, Plan, Process, TreeCounters, TreeMark,
};
use crate::sandbox::sys::linux::fd::stdio::give_pipes;
use crate::sandbox::sys::linux::observe::{Log, Watched};
use crate::sandbox::sys::linux::spawned::Spawned;
use crate::sandbox::sys::linux::spawner::process::Child;
use crate::sandbox::sys::linux::spawner::tree::Tree;
use crate::status::{KillReason, Signal};

/// The signal with which the kernel ends all processes of a namespace.
const SIGKILL: u8 = 9;

/// A started child. Dropping it kills its tree.
#[derive(Debug)]
pub(crate) struct SessionChild {
    session: Arc<Session>,
    child: Arc<Child>,
    reaped: AtomicBool,
}

impl SessionChild {
    pub(crate) fn new(
        session: Arc<Session>,
        spawned: Spawned,
        tree: Tree,
        log: Option<Arc<Log>>,
    ) -> Self {
        Self {
            session,
            child: Arc::new(Child::new(spawned, None).with_tree(tree).with_log(log)),
            reaped: AtomicBool::new(false),
        }
    }
}

impl Session {
    /// Starts what `plan` says in this session. Returns once the program executes.
    ///
    /// # Errors
    ///
    /// The stage that failed. [`Stage::Request`](crate::launch::Stage::Request) with a broken
    /// pipe means that the session has ended: the caller may start a new session and retry.
    pub(crate) fn launch(
        self: &Arc<Self>,
        plan: &Plan,
        stdio: &ChildStdio,
        tree: Tree,
    ) -> Result<SessionChild, LaunchError> {
        give_pipes(stdio, self.user());
        let watched = self.watch(plan)?;
        let (spawned, server) = self.spawn(plan, stdio, &tree, watched.as_ref())?;
        let log = watched.map(Watched::into_log);
        let tree = tree.started(server);
        let child = SessionChild::new(Arc::clone(self), spawned, tree, log);
        self.remember(&child.child);
        Ok(child)
    }
}

impl Process for SessionChild {
    fn pid(&self) -> u32 {
        self.child.pid()
    }

    fn exit_fd(&self) -> BorrowedFd<'_> {
        self.child.exit_fd()
    }

    fn try_exit(&self) -> io::Result<Option<Exit>> {
        match self.child.try_exit()? {
            Some(Exit::Signal(SIGKILL)) if let Some(change) = self.session.ended_by() => {
                let text = change.to_string();
                Err(io::Error::new(io::ErrorKind::BrokenPipe, text))
            }
            // Pid 1 closes its end of the lifeline before the kernel kills the other processes.
            Some(Exit::Signal(SIGKILL)) if !self.session.has_pid_1() => {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            exit => Ok(exit),
        }
    }

    fn ended_cpu(&self) -> Option<Duration> {
        self.child.ended_cpu()
    }

    fn signal(&self, signal: Signal) -> io::Result<()> {
        self.child.signal(signal)
    }

    fn signal_tree(&self, signal: Signal) -> io::Result<()> {
        let signalled = self.child.signal_named_tree(signal);
        if signalled.is_err() && signal == Signal::Kill {
            // Nothing names the tree any more: its server was killed.
            self.session.kill();
            return Ok(());
        }
        signalled
    }

    fn mark(&self) -> Option<TreeMark> {
        self.child.mark()
    }

    fn counters(&self) -> TreeCounters {
        self.child.counters()
    }

    fn observations(&self, killed: Option<KillReason>) -> Vec<Observation> {
        self.child.observations(killed)
    }

    fn reap(&self) -> io::Result<()> {
        let reaped = self.child.try_reap()?;
        self.reaped.fetch_or(reaped, Ordering::Relaxed);
        Ok(())
    }
}

impl Drop for SessionChild {
    fn drop(&mut self) {
        self.session.note_use();
        if self.reaped.load(Ordering::Relaxed) {
            return;
        }
        let _ = self.signal_tree(Signal::Kill);
        self.session.reap_later(Arc::clone(&self.child));
    }
}

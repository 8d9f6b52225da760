//! A child that is played: what the registry holds, and what the player's thread shares with it.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use capspawn_native::Signal;
use capspawn_native::launch::{Exit, Process, TreeCounters, TreeUsage};

use super::session::Session;

/// No process has a number like this: Linux's are below 2^22.
const FIRST_PID: u32 = 1 << 30;

/// What the player's thread and the registry share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) session: Arc<Session>,
    /// The index of the call in the tape.
    pub(super) index: usize,
    signals: Mutex<VecDeque<u8>>,
    /// A byte in this pipe interrupts the player's wait.
    signalled: OwnedFd,
    exit: OnceLock<Result<Exit, String>>,
    /// Whether the kernel ended the child at its memory limit. Set before the exit.
    out_of_memory: AtomicBool,
}

impl Shared {
    pub(super) fn new(session: Arc<Session>, index: usize, signalled: OwnedFd) -> Self {
        Self {
            session,
            index,
            signals: Mutex::default(),
            signalled,
            exit: OnceLock::new(),
            out_of_memory: AtomicBool::new(false),
        }
    }

    /// Takes the first signal that was not taken yet.
    pub(super) fn next_signal(&self) -> Option<u8> {
        self.signals().pop_front()
    }

    /// Whether SIGKILL was received and not taken.
    pub(super) fn is_killed(&self) -> bool {
        self.signals().contains(&Signal::Kill.number())
    }

    /// The kernel ended the child at its memory limit.
    pub(super) fn set_out_of_memory(&self) {
        self.out_of_memory.store(true, Ordering::SeqCst);
    }

    /// Sets how the child ended.
    pub(super) fn set_exit(&self, exit: Result<Exit, String>) {
        // A child ends once.
        let _ = self.exit.set(exit);
        self.session.end(self.index);
    }

    fn signals(&self) -> MutexGuard<'_, VecDeque<u8>> {
        self.signals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn send(&self, signal: Signal) {
        self.signals().push_back(signal.number());
        // A full pipe interrupts as well.
        let _ = rustix::io::write(&self.signalled, &[0]);
        self.session.signalled();
    }
}

/// A child without a process.
#[derive(Debug)]
pub(super) struct Played {
    pub(super) shared: Arc<Shared>,
    /// The reading end of a pipe that is closed at the end.
    pub(super) ended: OwnedFd,
}

impl Process for Played {
    fn pid(&self) -> u32 {
        let number = u32::try_from(self.shared.index).unwrap_or_default();
        FIRST_PID.saturating_add(number)
    }

    fn exit_fd(&self) -> BorrowedFd<'_> {
        self.ended.as_fd()
    }

    fn try_exit(&self) -> io::Result<Option<Exit>> {
        match self.shared.exit.get() {
            None => Ok(None),
            Some(Ok(exit)) => Ok(Some(*exit)),
            Some(Err(reason)) => Err(io::Error::other(reason.clone())),
        }
    }

    fn signal(&self, signal: Signal) -> io::Result<()> {
        self.shared.send(signal);
        Ok(())
    }

    fn signal_tree(&self, signal: Signal) -> io::Result<()> {
        self.shared.send(signal);
        Ok(())
    }

    fn reap(&self) -> io::Result<()> {
        Ok(())
    }

    /// All is counted, so that the registry looks for no processes.
    fn counters(&self) -> TreeCounters {
        TreeCounters {
            usage: TreeUsage {
                peak_memory_bytes: Some(0),
                cpu: Some(Duration::ZERO),
                peak_tasks: Some(1),
            },
            out_of_memory: self.shared.out_of_memory.load(Ordering::SeqCst),
            tasks_enforced: true,
        }
    }
}

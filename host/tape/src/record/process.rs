//! A child that is recorded.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use capspawn_native::launch::{Exit, Observation, Process, TreeCounters, TreeMark};
use capspawn_native::{KillReason, Signal};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::writer::CallLog;

/// A child whose end is shown once its output is on its way.
#[derive(Debug)]
pub(super) struct Recorded {
    pub(super) process: Arc<dyn Process>,
    pub(super) log: Arc<CallLog>,
    /// The reading end of a pipe that is closed at the end.
    pub(super) ended: OwnedFd,
}

impl Recorded {
    fn has_ended(&self) -> bool {
        let mut polled = [PollFd::new(&self.ended, PollFlags::IN)];
        let count = rustix::io::retry_on_intr(|| poll(&mut polled, Some(&Timespec::default())));
        count.is_ok_and(|count| count > 0)
    }
}

impl Process for Recorded {
    fn pid(&self) -> u32 {
        self.process.pid()
    }

    fn exit_fd(&self) -> BorrowedFd<'_> {
        self.ended.as_fd()
    }

    fn try_exit(&self) -> io::Result<Option<Exit>> {
        match self.has_ended() {
            true => self.process.try_exit(),
            false => Ok(None),
        }
    }

    fn signal(&self, signal: Signal) -> io::Result<()> {
        self.log.signal(signal.number());
        self.process.signal(signal)
    }

    fn signal_tree(&self, signal: Signal) -> io::Result<()> {
        self.log.signal(signal.number());
        self.process.signal_tree(signal)
    }

    fn reap(&self) -> io::Result<()> {
        self.process.reap()
    }

    fn mark(&self) -> Option<TreeMark> {
        self.process.mark()
    }

    fn ended_cpu(&self) -> Option<Duration> {
        self.process.ended_cpu()
    }

    fn counters(&self) -> TreeCounters {
        self.process.counters()
    }

    fn observations(&self, killed: Option<KillReason>) -> Vec<Observation> {
        self.process.observations(killed)
    }
}

//! Being asked to end: the children must not outlive the command.

use anyhow::{Context as _, Result};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Waits for the signals that ask a process to end.
#[derive(Debug)]
pub(crate) struct Stop {
    hangup: Signal,
    interrupt: Signal,
    terminate: Signal,
}

impl Stop {
    /// Takes the signals over from the system, which would end the command and
    /// leave its children.
    pub(crate) fn new() -> Result<Self> {
        let take = |kind| signal(kind).context("cannot watch for signals");
        Ok(Self {
            hangup: take(SignalKind::hangup())?,
            interrupt: take(SignalKind::interrupt())?,
            terminate: take(SignalKind::terminate())?,
        })
    }

    /// Waits for one of them and returns the exit code for it.
    pub(crate) async fn asked(&mut self) -> u8 {
        const fn code(signal: u8) -> u8 {
            128 + signal
        }
        tokio::select! {
            _ = self.hangup.recv() => code(1),
            _ = self.interrupt.recv() => code(2),
            _ = self.terminate.recv() => code(15),
        }
    }
}

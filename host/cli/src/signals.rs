//! The signals that end the command. Their default action would end the process
//! at once and leave its children running.

use anyhow::{Context as _, Result};
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The number of the signal, the same on x86_64 and aarch64.
const SIGXFSZ: i32 = 25;

/// A listener for SIGHUP, SIGINT and SIGTERM.
#[derive(Debug)]
pub(crate) struct EndSignals {
    hangup: Signal,
    interrupt: Signal,
    terminate: Signal,
}

impl EndSignals {
    /// Replaces the default action of the signals.
    pub(crate) fn listen() -> Result<Self> {
        let listen = |kind| signal(kind).context("cannot handle signals");
        Ok(Self {
            hangup: listen(SignalKind::hangup())?,
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
        })
    }

    /// Waits for one of the signals and returns the exit code for it, as a shell
    /// reports a process that the signal ended: 128 more than its number.
    pub(crate) async fn exit_code(&mut self) -> u8 {
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

/// Makes a write over the limit on the size of files (RLIMIT_FSIZE) an error. By default its signal ends the
/// command. Holds as long as the process runs.
pub(crate) fn survive_file_size_limit(runtime: &Runtime) -> Result<()> {
    let _entered = runtime.enter();
    let listener = signal(SignalKind::from_raw(SIGXFSZ)).context("cannot handle signals")?;
    // The handler stays without it.
    drop(listener);
    Ok(())
}

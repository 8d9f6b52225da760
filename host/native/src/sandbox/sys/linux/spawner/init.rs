//! The image of `capspawn-init`, a static program of 30 KiB, and its failure report.
//!
//! The program does what a vfork child cannot. `set*uid` in a child that shares the host's
//! memory would make the host undumpable: so the vfork child executes `capspawn-init`, which
//! changes its user, confines itself and executes the guest's program. It is also the
//! watchdog, the probe, and the server and pid 1 of a session.
//!
//! The crate embeds the program and executes it from a sealed memfd. Rejected: a file. A path
//! can be replaced, and some container images have no writable file system.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;

use capspawn_raw::wire::{FAILURE_BYTES, FailureReport};
use rustix::fs::MemfdFlags;

use crate::launch::{LaunchError, Stage};
use crate::sandbox::sys::linux::fd::memfd;

/// The program.
pub(crate) const IMAGE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/capspawn-init"));

/// Returns a sealed memfd with the program.
pub(crate) fn image() -> io::Result<OwnedFd> {
    const EXEC: MemfdFlags = MemfdFlags::from_bits_retain(0x10);
    memfd::sealed("capspawn-init", IMAGE, EXEC)
}

/// Waits until `capspawn-init` has executed the program.
///
/// # Errors
///
/// The step that it reports as failed.
pub(crate) fn outcome(report: OwnedFd) -> Result<(), LaunchError> {
    let at_spawn = |source| LaunchError::new(Stage::Spawn, source);
    let mut bytes = [0; FAILURE_BYTES];
    match File::from(report).read_exact(&mut bytes) {
        Ok(()) => {}
        // The exec closed the pipe. So does a kill, which the child's end shows later.
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
        Err(error) => return Err(at_spawn(error)),
    }
    Err(match FailureReport::read(bytes) {
        Some(FailureReport(failure)) => failure.into(),
        None => at_spawn(io::ErrorKind::InvalidData.into()),
    })
}

//! The helper `capspawn-init`: a static program of a few kilobytes, embedded in
//! the crate and executed from a sealed memfd.
//!
//! It serves where the vfork child may not do what must be done: `set*uid` in a
//! child that shares the host's memory makes the *host* undumpable. The vfork
//! child executes the helper, the helper changes its user, confines itself and
//! executes the program. A memfd needs no path that somebody could replace, and
//! works in images without a writable file system. It is also the watcher, the
//! probe, and the server and pid 1 of a session.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, OwnedFd};

use capspawn_raw::steps::Fault;
use rustix::fs::MemfdFlags;

use super::vfork::stage_of;
use crate::launch::{LaunchError, Stage};
use crate::sandbox::sys::linux::fd::memfd;

pub(crate) const IMAGE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/capspawn-init"));

/// Returns a sealed memfd with the helper's image.
pub(crate) fn image() -> io::Result<OwnedFd> {
    const EXEC: MemfdFlags = MemfdFlags::from_bits_retain(0x10);
    memfd::sealed("capspawn-init", IMAGE, EXEC)
}

/// What the helper is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// To execute the program.
    Execute,
    /// To try what it should not be able to do.
    Probe,
    /// The same in a session.
    ProbeSession,
    /// To watch over the host.
    Watch,
    /// To be a session's server and its pid 1.
    Session,
}

/// What the helper is told, in its `argv[0]`: eleven words of eight hexadecimal
/// digits. Its other arguments and its environment are the program's.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Orders {
    pub(crate) mode: Mode,
    /// Whether it confines itself (with user, ruleset and filter).
    pub(crate) confine: bool,
    /// The program; a session's configuration.
    pub(crate) program: i32,
    pub(crate) ruleset: i32,
    /// The filter; the socket that a session's pid 1 ends with.
    pub(crate) filter: i32,
    /// Where it reports a failure; the watcher's and the session's socket.
    pub(crate) status: i32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// A process that a probe tries to signal.
    pub(crate) canary: u32,
    /// Where a session's children say that they are there.
    pub(crate) words: i32,
    pub(crate) fault: Fault,
}

impl Orders {
    pub(crate) fn encode(&self) -> String {
        let mode = match self.mode {
            Mode::Execute => 0,
            Mode::Probe => 1,
            Mode::ProbeSession => 17,
            Mode::Watch => 4,
            Mode::Session => 8,
        };
        let mode = mode | u32::from(self.confine) << 1;
        let words = [
            mode,
            self.program.cast_unsigned(),
            self.ruleset.cast_unsigned(),
            self.filter.cast_unsigned(),
            self.status.cast_unsigned(),
            self.uid,
            self.gid,
            self.canary,
            self.words.cast_unsigned(),
            self.fault.step,
            self.fault.errno.cast_unsigned(),
        ];
        words.iter().map(|word| format!("{word:08x}")).collect()
    }
}

/// Waits until the helper has executed the program, or says why it did not.
pub(crate) fn outcome(status: OwnedFd) -> Result<(), LaunchError> {
    let mut report = [0; 8];
    let mut read = 0;
    let mut status = File::from(status);
    while read < report.len() {
        match status.read(&mut report[read..]) {
            Ok(0) => break,
            Ok(count) => read += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(LaunchError::new(Stage::Spawn, error)),
        }
    }
    // Closed without a word: it executes the program (or was killed, which its end will tell).
    if read < report.len() {
        return Ok(());
    }
    let [a, b, c, d, e, f, g, h] = report;
    let errno = i32::from_ne_bytes([e, f, g, h]);
    let stage = stage_of(u32::from_ne_bytes([a, b, c, d]));
    Err(LaunchError::new(stage, io::Error::from_raw_os_error(errno)))
}

/// A descriptor's number, or -1.
pub(crate) fn number(fd: Option<&OwnedFd>) -> i32 {
    fd.map_or(-1, AsRawFd::as_raw_fd)
}

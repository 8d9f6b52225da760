//! The pipes of one child: which ends the child gets, which the host keeps.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Weak};

use bytes::Bytes;
use rustix::fs::OFlags;
use rustix::pipe::{PipeFlags, pipe_with};

use super::pipe::UntakenPipes;
use crate::launch::{ChildStdio, LaunchError, Stage};
use crate::streams::{Stdin, Stdio, Streams};

/// All pipes of one child.
#[derive(Debug)]
pub(crate) struct Pipes {
    /// The child's ends.
    pub(crate) child: ChildStdio,
    /// The host's ends, for the supervisor.
    pub(crate) host: HostStdio,
    /// The host's ends that the guest may take.
    pub(crate) untaken: UntakenPipes,
}

/// The host's ends that the supervisor serves, all non-blocking.
#[derive(Debug)]
pub(crate) struct HostStdio {
    /// The rest of the request's standard input, and the pipe to write it to.
    pub(crate) stdin: Option<(OwnedFd, Bytes)>,
    /// Standard output to capture.
    pub(crate) stdout: Option<OwnedFd>,
    /// Standard error to capture.
    pub(crate) stderr: Option<OwnedFd>,
    /// Output that the guest reads: to see its end without keeping it open.
    pub(crate) piped: [Weak<OwnedFd>; 2],
}

impl Pipes {
    /// Makes the pipes for `streams`, and writes as much of standard input as fits.
    ///
    /// # Errors
    ///
    /// The system has no pipe left.
    pub(crate) fn new(streams: &Streams) -> Result<Self, LaunchError> {
        Self::try_new(streams).map_err(|error| LaunchError::new(Stage::Pipe, error))
    }

    fn try_new(streams: &Streams) -> io::Result<Self> {
        let mut untaken = UntakenPipes::default();
        let mut rest = None;
        let stdin = match &streams.stdin {
            Stdin::Piped => {
                let (child, host) = input()?;
                untaken.stdin = Some(Arc::new(host));
                Some(child)
            }
            Stdin::Bytes(bytes) if !bytes.is_empty() => {
                let (child, host) = input()?;
                rest = fill(host, bytes);
                Some(child)
            }
            Stdin::Null | Stdin::Bytes(_) => None,
        };
        let (stdout, mut read_stdout) = output(streams.stdout)?;
        let (stderr, mut read_stderr) = match streams.stderr {
            Stdio::Merged => (stdout.as_ref().map(OwnedFd::try_clone).transpose()?, None),
            other => output(other)?,
        };
        if streams.stdout == Stdio::Piped {
            untaken.stdout = read_stdout.take().map(Arc::new);
        }
        if streams.stderr == Stdio::Piped {
            untaken.stderr = read_stderr.take().map(Arc::new);
        }
        let piped = [&untaken.stdout, &untaken.stderr];
        let piped = piped.map(|pipe| pipe.as_ref().map_or_else(Weak::new, Arc::downgrade));
        Ok(Self {
            child: ChildStdio {
                stdin,
                stdout,
                stderr,
            },
            host: HostStdio {
                stdin: rest,
                stdout: read_stdout,
                stderr: read_stderr,
                piped,
            },
            untaken,
        })
    }
}

/// Returns the child's end and the host's end of a pipe for standard input.
fn input() -> io::Result<(OwnedFd, OwnedFd)> {
    let (child, host) = pipe_with(PipeFlags::CLOEXEC)?;
    set_nonblocking(&host)?;
    Ok((child, host))
}

/// Writes as much as the pipe takes now, usually everything, and returns the rest.
fn fill(host: OwnedFd, bytes: &Bytes) -> Option<(OwnedFd, Bytes)> {
    let written = rustix::io::write(&host, bytes).unwrap_or(0);
    let rest = bytes.slice(written..);
    (!rest.is_empty()).then_some((host, rest))
}

/// Returns the child's end and the host's end.
fn output(stdio: Stdio) -> io::Result<(Option<OwnedFd>, Option<OwnedFd>)> {
    if stdio == Stdio::Null {
        return Ok((None, None));
    }
    let (host, child) = pipe_with(PipeFlags::CLOEXEC)?;
    set_nonblocking(&host)?;
    Ok((Some(child), Some(host)))
}

fn set_nonblocking(fd: &OwnedFd) -> io::Result<()> {
    let flags = rustix::fs::fcntl_getfl(fd)?;
    rustix::fs::fcntl_setfl(fd, flags | OFlags::NONBLOCK)?;
    Ok(())
}

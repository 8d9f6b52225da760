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

/// The host's ends, all non-blocking.
#[derive(Debug)]
pub(crate) struct HostStdio {
    /// The rest of the request's standard input, and the pipe to write it to.
    pub(crate) stdin: Option<(OwnedFd, Bytes)>,
    pub(crate) stdout: Option<OwnedFd>,
    pub(crate) stderr: Option<OwnedFd>,
    /// The ends that the guest may take.
    pub(crate) untaken: UntakenPipes,
    /// Output that the guest reads: to see its end without keeping it open.
    pub(crate) piped: [Weak<OwnedFd>; 2],
}

/// Makes the pipes for `streams`.
pub(crate) fn make(streams: &Streams) -> Result<(ChildStdio, HostStdio), LaunchError> {
    try_make(streams).map_err(|error| LaunchError::new(Stage::Pipe, error))
}

fn try_make(streams: &Streams) -> io::Result<(ChildStdio, HostStdio)> {
    let mut untaken = UntakenPipes::default();
    let (stdin, feed) = match &streams.stdin {
        Stdin::Piped => {
            let (child, host) = pipe_with(PipeFlags::CLOEXEC)?;
            set_nonblocking(&host)?;
            untaken.stdin = Some(Arc::new(host));
            (Some(child), None)
        }
        Stdin::Bytes(bytes) if !bytes.is_empty() => {
            let (child, host) = pipe_with(PipeFlags::CLOEXEC)?;
            set_nonblocking(&host)?;
            (Some(child), feed(host, bytes))
        }
        _ => (None, None),
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
    let child = ChildStdio {
        stdin,
        stdout,
        stderr,
    };
    let host = HostStdio {
        stdin: feed,
        stdout: read_stdout,
        stderr: read_stderr,
        untaken,
        piped,
    };
    Ok((child, host))
}

/// Writes as much as the pipe takes now, usually everything, and returns the rest.
fn feed(host: OwnedFd, bytes: &Bytes) -> Option<(OwnedFd, Bytes)> {
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

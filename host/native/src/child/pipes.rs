//! The pipes of one child: which ends the child gets, which the host keeps.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Weak};

use bytes::Bytes;
use rustix::fs::OFlags;
use rustix::pipe::{PipeFlags, pipe_with};

use super::account::{Charge, Descriptors, HeldFd};
use super::pipe::UntakenPipes;
use crate::launch::{ChildStdio, LaunchError, Stage};
use crate::streams::{Stdin, Stdio, Streams};

/// The host's descriptors of one running child, its pipes left out: its pidfd, which the launcher has,
/// and the copy of it that the registry waits for. What a launcher keeps for several children is not
/// charged to one.
const PROCESS_DESCRIPTORS: usize = 2;

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
    pub(crate) stdin: Option<Input>,
    /// Standard output to capture.
    pub(crate) stdout: Option<OwnedFd>,
    /// Standard error to capture.
    pub(crate) stderr: Option<OwnedFd>,
    /// Output that the guest reads: to see its end without keeping it open.
    pub(crate) piped: [Weak<HeldFd>; 2],
    /// The descriptors of the child's supervision: these pipes, and those of the process.
    pub(crate) _descriptors: Descriptors,
}

/// Standard input that the child has not read, charged to its owner.
#[derive(Debug)]
pub(crate) struct Input {
    pub(crate) fd: OwnedFd,
    pub(crate) rest: Bytes,
    pub(crate) _charge: Charge,
}

/// Returns how many of the host's descriptors a child with these streams takes while it runs.
pub(crate) fn descriptors_of(streams: &Streams) -> usize {
    let is_open = [
        streams.stdin == Stdin::Piped || !streams.stdin.is_empty(),
        streams.stdout != Stdio::Null,
        !matches!(streams.stderr, Stdio::Null | Stdio::Merged),
    ];
    PROCESS_DESCRIPTORS + is_open.into_iter().filter(|it| *it).count()
}

impl Pipes {
    /// Makes the pipes for `streams`, and writes as much of standard input as fits. `descriptors`
    /// are those of [`descriptors_of`] these streams, and `input` is the charge for standard input.
    ///
    /// # Errors
    ///
    /// The system has no pipe left.
    pub(crate) fn new(
        streams: &Streams,
        descriptors: Descriptors,
        input: Charge,
    ) -> Result<Self, LaunchError> {
        Self::try_new(streams, descriptors, input)
            .map_err(|error| LaunchError::new(Stage::Pipe, error))
    }

    fn try_new(
        streams: &Streams,
        mut descriptors: Descriptors,
        input_charge: Charge,
    ) -> io::Result<Self> {
        let mut untaken = UntakenPipes::default();
        let mut rest = None;
        let stdin = match &streams.stdin {
            Stdin::Piped => {
                let (child, host) = input()?;
                untaken.stdin = Some(Arc::new(descriptors.with(host)));
                Some(child)
            }
            Stdin::Bytes(bytes) if !bytes.is_empty() => {
                let (child, host) = input()?;
                rest = fill(host, bytes, input_charge);
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
            untaken.stdout = take_held(&mut read_stdout, &mut descriptors);
        }
        if streams.stderr == Stdio::Piped {
            untaken.stderr = take_held(&mut read_stderr, &mut descriptors);
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
                _descriptors: descriptors,
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
fn fill(fd: OwnedFd, bytes: &Bytes, charge: Charge) -> Option<Input> {
    let written = rustix::io::write(&fd, bytes).unwrap_or(0);
    let rest = bytes.slice(written..);
    (!rest.is_empty()).then_some(Input {
        fd,
        rest,
        _charge: charge,
    })
}

/// Takes the host's end for the guest, with its charge.
fn take_held(end: &mut Option<OwnedFd>, descriptors: &mut Descriptors) -> Option<Arc<HeldFd>> {
    end.take().map(|fd| Arc::new(descriptors.with(fd)))
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

//! The pipes of one child: which ends the child gets, which the host keeps.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Weak};

use bytes::Bytes;
use rustix::fs::OFlags;
use rustix::pipe::{PipeFlags, pipe_with};

use super::account::{Charge, Descriptors, HeldFd};
use super::pipe::UntakenPipes;
use crate::error::SpawnError;
use crate::launch::{ChildStdio, LaunchError, Stage};
use crate::streams::{PassedEnd, PassedReader, PassedWriter, Stdin, Stdio, Streams, TakenEnd};

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
    /// The ends of other children's pipes that the child gets.
    pub(crate) passed: Vec<TakenEnd>,
}

/// The host's ends that the supervisor serves, all non-blocking.
#[derive(Debug)]
pub(crate) struct HostStdio {
    /// What is left of standard input, and the pipe to write it to.
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
    pub(crate) rest: Rest,
    pub(crate) _charge: Charge,
}

/// What is left to write of standard input.
#[derive(Debug)]
pub(crate) enum Rest {
    /// Bytes of the request.
    Bytes(Bytes),
    /// A regular file, from its beginning.
    File(OwnedFd),
}

/// Returns how many of the host's descriptors a child with these streams takes while it runs.
pub(crate) fn descriptors_of(streams: &Streams) -> usize {
    let stdin = match &streams.stdin {
        Stdin::Null | Stdin::Child(_) => 0,
        Stdin::Bytes(bytes) => usize::from(!bytes.is_empty()),
        Stdin::Piped => 1,
        // The file, and the pipe to which the host copies it.
        Stdin::File(_) => 2,
    };
    let outputs = [&streams.stdout, &streams.stderr];
    let is_open = |it: &&&Stdio| matches!(it, Stdio::Piped | Stdio::Captured);
    PROCESS_DESCRIPTORS + stdin + outputs.iter().filter(is_open).count()
}

impl Pipes {
    /// Makes the pipes for `streams`, and writes as much of standard input as fits. `files` are the
    /// open files among the streams, `passed` the ends of other children's pipes. `descriptors`
    /// are those of [`descriptors_of`] these streams, and `input` is the charge for standard input.
    ///
    /// # Errors
    ///
    /// The system has no pipe left.
    pub(crate) fn new(
        streams: &Streams,
        files: ChildStdio,
        passed: PassedEnds,
        descriptors: Descriptors,
        input: Charge,
    ) -> Result<Self, LaunchError> {
        let made = Self::try_new(streams, files, passed, descriptors, input);
        made.map_err(|error| LaunchError::new(Stage::Pipe, error))
    }

    fn try_new(
        streams: &Streams,
        files: ChildStdio,
        PassedEnds(passed): PassedEnds,
        mut descriptors: Descriptors,
        input_charge: Charge,
    ) -> io::Result<Self> {
        let mut untaken = UntakenPipes::default();
        let mut rest = None;
        let for_child = |end: &Option<TakenEnd>| end.as_ref().map(TakenEnd::for_child).transpose();
        let [stdin, stdout, stderr] = &passed;
        let passed_stdin = for_child(stdin)?;
        let given_stdout = for_child(stdout)?.or(files.stdout);
        let given_stderr = for_child(stderr)?.or(files.stderr);
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
            Stdin::Child(_) => passed_stdin,
            // Not the file itself: a session could reopen the host's descriptor for writing, though
            // its own mount of the root is read-only.
            Stdin::File(_) => match files.stdin {
                Some(file) => {
                    let (child, host) = input()?;
                    rest = Some(Input {
                        fd: host,
                        rest: Rest::File(file),
                        _charge: input_charge,
                    });
                    Some(child)
                }
                None => None,
            },
        };
        let (mut stdout, mut read_stdout) = output(&streams.stdout, given_stdout)?;
        let (mut stderr, mut read_stderr) = output(&streams.stderr, given_stderr)?;
        // One description for both, so that the kernel keeps the order of what is written.
        if streams.stderr == Stdio::Merged {
            stderr = stdout.as_ref().map(OwnedFd::try_clone).transpose()?;
        } else if streams.stdout == Stdio::Merged {
            stdout = stderr.as_ref().map(OwnedFd::try_clone).transpose()?;
        }
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
            passed: passed.into_iter().flatten().collect(),
        })
    }
}

/// The ends of other children's pipes for the three streams, taken for one launch.
#[derive(Debug)]
pub(crate) struct PassedEnds([Option<TakenEnd>; 3]);

impl PassedEnds {
    /// Takes the ends that `streams` names, which children of `guest` have passed.
    ///
    /// # Errors
    ///
    /// [`SpawnError::InvalidState`] where another child has received an end, and
    /// [`SpawnError::InvalidArgument`] where another guest passed it.
    pub(crate) fn take(streams: &Streams, guest: u64) -> Result<Self, SpawnError> {
        let take = |end: &PassedEnd| {
            if end.guest() != guest {
                let reason = "the pipe of another guest's child";
                return Err(SpawnError::InvalidArgument(reason));
            }
            end.take().map(Some).ok_or(SpawnError::InvalidState)
        };
        let output = |stdio: &Stdio| match stdio {
            Stdio::Child(PassedWriter(end)) => take(end),
            _ => Ok(None),
        };
        let stdin = match &streams.stdin {
            Stdin::Child(PassedReader(end)) => take(end)?,
            _ => None,
        };
        Ok(Self([
            stdin,
            output(&streams.stdout)?,
            output(&streams.stderr)?,
        ]))
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
        rest: Rest::Bytes(rest),
        _charge: charge,
    })
}

/// Takes the host's end for the guest, with its charge.
fn take_held(end: &mut Option<OwnedFd>, descriptors: &mut Descriptors) -> Option<Arc<HeldFd>> {
    end.take().map(|fd| Arc::new(descriptors.with(fd)))
}

/// Returns the child's end, which is the `given` one where the stream needs no new pipe, and the
/// host's end.
fn output(stdio: &Stdio, given: Option<OwnedFd>) -> io::Result<(Option<OwnedFd>, Option<OwnedFd>)> {
    match stdio {
        Stdio::Null | Stdio::Merged => Ok((None, None)),
        Stdio::Child(_) | Stdio::File { .. } => Ok((given, None)),
        Stdio::Piped | Stdio::Captured => {
            let (host, child) = pipe_with(PipeFlags::CLOEXEC)?;
            set_nonblocking(&host)?;
            Ok((Some(child), Some(host)))
        }
    }
}

fn set_nonblocking(fd: &OwnedFd) -> io::Result<()> {
    let flags = rustix::fs::fcntl_getfl(fd)?;
    rustix::fs::fcntl_setfl(fd, flags | OFlags::NONBLOCK)?;
    Ok(())
}

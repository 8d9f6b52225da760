//! The streams of a child that is played. Each wait also ends when the child receives a signal.

use std::io;
use std::os::fd::OwnedFd;

use capspawn_native::launch::ChildStdio;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

use super::script::Output;
use crate::descriptor::set_nonblocking;

/// The most bytes of one read.
const CHUNK_BYTES: usize = 64 * 1024;

/// The three streams, and what interrupts a wait.
#[derive(Debug)]
pub(super) struct Streams {
    stdin: Option<OwnedFd>,
    stdout: Option<OwnedFd>,
    stderr: Option<OwnedFd>,
    /// Readable once the child has received a signal.
    signalled: OwnedFd,
}

/// What standard input has now.
#[derive(Debug)]
pub(super) enum Read {
    Bytes(Vec<u8>),
    End,
    Nothing,
}

impl Streams {
    pub(super) fn new(stdio: ChildStdio, signalled: OwnedFd) -> io::Result<Self> {
        for fd in [&stdio.stdin, &stdio.stdout, &stdio.stderr]
            .into_iter()
            .flatten()
        {
            set_nonblocking(fd)?;
        }
        set_nonblocking(&signalled)?;
        Ok(Self {
            stdin: stdio.stdin,
            stdout: stdio.stdout,
            stderr: stdio.stderr,
            signalled,
        })
    }

    /// Reads at most `max_bytes` of what is there.
    pub(super) fn read(&self, max_bytes: usize) -> Read {
        let Some(stdin) = &self.stdin else {
            return Read::End;
        };
        let mut bytes = vec![0; max_bytes.clamp(1, CHUNK_BYTES)];
        match rustix::io::read(stdin, &mut bytes[..]) {
            Ok(0) => Read::End,
            Ok(count) => {
                bytes.truncate(count);
                Read::Bytes(bytes)
            }
            Err(Errno::AGAIN | Errno::INTR) => Read::Nothing,
            Err(_) => Read::End,
        }
    }

    /// Waits until there is something to read, or a signal.
    pub(super) fn await_input(&self) {
        self.wait(self.stdin.as_ref(), PollFlags::IN);
    }

    /// Waits for a signal.
    pub(super) fn await_signal(&self) {
        self.wait(None, PollFlags::empty());
    }

    /// Writes `bytes`, and returns whether somebody read them all. `gives_up` ends a wait for the reader.
    pub(super) fn write(
        &self,
        output: Output,
        mut bytes: &[u8],
        gives_up: impl Fn() -> bool,
    ) -> bool {
        let fd = match output {
            Output::Stdout => &self.stdout,
            Output::Stderr => &self.stderr,
        };
        let Some(fd) = fd else {
            return false;
        };
        while !bytes.is_empty() {
            match rustix::io::write(fd, bytes) {
                Ok(count) => bytes = &bytes[count..],
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) if !gives_up() => self.wait(Some(fd), PollFlags::OUT),
                Err(_) => return false,
            }
        }
        true
    }

    fn wait(&self, fd: Option<&OwnedFd>, events: PollFlags) {
        let mut polled = vec![PollFd::new(&self.signalled, PollFlags::IN)];
        polled.extend(fd.map(|fd| PollFd::new(fd, events)));
        // A failure is an interruption: the caller finds out what is ready.
        let _ = poll(&mut polled, None);
        // The signals themselves are elsewhere.
        let _ = rustix::io::read(&self.signalled, &mut [0; 64][..]);
    }
}

//! One stream of a child, on its way between the child and the guest.

use std::io;
use std::os::fd::OwnedFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::descriptor::set_nonblocking;

/// The most bytes of one read: the capacity of a pipe.
const CHUNK_BYTES: usize = 64 * 1024;

/// Copies from one end to another, with one chunk in between. Both ends are non-blocking.
#[derive(Debug)]
pub(super) struct Pipe {
    from: Option<OwnedFd>,
    to: Option<OwnedFd>,
    chunk: Vec<u8>,
    /// How much of the chunk is written.
    written: usize,
}

impl Pipe {
    pub(super) fn new(from: OwnedFd, to: OwnedFd) -> io::Result<Self> {
        set_nonblocking(&from)?;
        set_nonblocking(&to)?;
        Ok(Self {
            from: Some(from),
            to: Some(to),
            chunk: Vec::new(),
            written: 0,
        })
    }

    /// A stream that leads nowhere.
    pub(super) fn closed() -> Self {
        Self {
            from: None,
            to: None,
            chunk: Vec::new(),
            written: 0,
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.to.is_none()
    }

    fn is_empty(&self) -> bool {
        self.written == self.chunk.len()
    }

    /// Adds what has to become ready before a step can do more.
    pub(super) fn watch<'a>(&'a self, watched: &mut Vec<PollFd<'a>>) {
        if let Some(from) = self.from.as_ref().filter(|_| self.is_empty()) {
            watched.push(PollFd::new(from, PollFlags::IN));
        }
        if let Some(to) = &self.to {
            // Without an event, poll reports that the reader is gone.
            let events = if self.is_empty() {
                PollFlags::empty()
            } else {
                PollFlags::OUT
            };
            watched.push(PollFd::new(to, events));
        }
    }

    /// Whether more has been sent than was written.
    pub(super) fn is_pending(&self) -> bool {
        let from = self.from.as_ref();
        !self.is_empty() || from.is_some_and(|fd| has(fd, PollFlags::IN | PollFlags::HUP))
    }

    /// Whether the reader has not read all that was written to it.
    pub(super) fn is_unread(&self) -> bool {
        let unread = |fd: &OwnedFd| rustix::io::ioctl_fionread(fd).is_ok_and(|bytes| bytes > 0);
        !self.is_empty() || self.to.as_ref().is_some_and(unread)
    }

    /// Reads or writes what can be read or written now. `on_read` and `on_written` receive the bytes.
    pub(super) fn step(
        &mut self,
        mut on_read: impl FnMut(&[u8]),
        mut on_written: impl FnMut(&[u8]),
    ) -> Step {
        let Some(to) = &self.to else {
            return Step::Waits;
        };
        if has(to, PollFlags::ERR) {
            return self.close(Step::ReaderGone);
        }
        if !self.is_empty() {
            return match rustix::io::write(to, &self.chunk[self.written..]) {
                Ok(count) => {
                    on_written(&self.chunk[self.written..][..count]);
                    self.written += count;
                    Step::Moved
                }
                Err(Errno::AGAIN | Errno::INTR) => Step::Waits,
                Err(_) => self.close(Step::ReaderGone),
            };
        }
        let Some(from) = &self.from else {
            return self.close(Step::Ended);
        };
        self.chunk.resize(CHUNK_BYTES, 0);
        let read = rustix::io::read(from, &mut self.chunk[..]);
        self.chunk.truncate(*read.as_ref().unwrap_or(&0));
        self.written = 0;
        match read {
            Ok(0) => self.close(Step::Ended),
            Ok(_) => {
                on_read(&self.chunk);
                Step::Moved
            }
            Err(Errno::AGAIN | Errno::INTR) => Step::Waits,
            Err(_) => self.close(Step::Ended),
        }
    }

    fn close(&mut self, step: Step) -> Step {
        self.from = None;
        self.to = None;
        step
    }
}

/// What a step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Bytes were read or written.
    Moved,
    /// Nothing can be done now.
    Waits,
    /// The stream was at its end, and is closed.
    Ended,
    /// Nobody reads any more, and the stream is closed.
    ReaderGone,
}

/// Whether `fd` has one of `flags` now.
fn has(fd: &OwnedFd, flags: PollFlags) -> bool {
    let mut polled = [PollFd::new(fd, flags)];
    let polled_now = rustix::io::retry_on_intr(|| poll(&mut polled, Some(&Timespec::default())));
    polled_now.is_ok() && polled[0].revents().intersects(flags)
}

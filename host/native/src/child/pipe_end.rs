//! The host's end of one pipe: readiness by the runtime, checked with the kernel.
//!
//! The runtime remembers that a pipe was ready until it is told otherwise, and a
//! read of exactly the last byte does not tell it. So each readiness is confirmed
//! with `poll(2)` before it is reported.

use std::cell::Cell;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, ready};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::runtime::Handle;

use super::account::HeldFd;
use crate::sandbox::sys::register_fd;

/// What an end is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Read,
    Write,
}

impl Direction {
    fn interest(self) -> Interest {
        match self {
            Self::Read => Interest::READABLE,
            Self::Write => Interest::WRITABLE,
        }
    }

    fn events(self) -> PollFlags {
        match self {
            Self::Read => PollFlags::IN,
            Self::Write => PollFlags::OUT,
        }
    }
}

/// One end of a pipe, non-blocking and registered with a runtime.
#[derive(Debug)]
pub(super) struct PipeEnd {
    fd: AsyncFd<Arc<HeldFd>>,
    direction: Direction,
}

impl PipeEnd {
    /// Registers `fd` with the caller's runtime, which wakes a waiting task without
    /// a change of thread, or with `registry` where the caller has none.
    pub(super) fn new(
        fd: Arc<HeldFd>,
        direction: Direction,
        registry: &Handle,
    ) -> io::Result<Self> {
        let handle = Handle::try_current().unwrap_or_else(|_| registry.clone());
        let _entered = handle.enter();
        Ok(Self {
            fd: register_fd(fd, direction.interest())?,
            direction,
        })
    }

    /// Calls `operation` unless the pipe is known not to be ready. An operation that
    /// would block makes the runtime watch for readiness again.
    pub(super) fn attempt<R>(
        &self,
        operation: impl Fn(BorrowedFd<'_>) -> io::Result<R>,
    ) -> io::Result<R> {
        let tried = Cell::new(false);
        let result = self.fd.try_io(self.direction.interest(), |fd| {
            tried.set(true);
            operation(fd.as_fd())
        });
        if tried.get() {
            return result;
        }
        // The runtime has seen no readiness yet: trying finds out, and a failure leaves nothing to forget.
        operation(self.fd.get_ref().as_fd())
    }

    /// Waits until the pipe is ready or has ended.
    ///
    /// # Errors
    ///
    /// The runtime with which it was registered is shutting down.
    pub(super) async fn ready(&self) -> io::Result<()> {
        loop {
            let mut ready = self.fd.ready(self.direction.interest()).await?;
            if self.is_confirmed()? {
                ready.retain_ready();
                return Ok(());
            }
            ready.clear_ready();
        }
    }

    /// Does what [`PipeEnd::ready`] does, for a task that polls.
    pub(super) fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let mut ready = match self.direction {
                Direction::Read => ready!(self.fd.poll_read_ready(cx))?,
                Direction::Write => ready!(self.fd.poll_write_ready(cx))?,
            };
            if self.is_confirmed()? {
                ready.retain_ready();
                return Poll::Ready(Ok(()));
            }
            ready.clear_ready();
        }
    }

    /// Asks the kernel whether the pipe is ready, or has ended.
    fn is_confirmed(&self) -> io::Result<bool> {
        let fd = self.fd.get_ref().as_fd();
        Ok(!poll_now(fd, self.direction.events())?.is_empty())
    }
}

/// Returns which of `events` a pipe has now, without waiting.
pub(super) fn poll_now(fd: BorrowedFd<'_>, events: PollFlags) -> io::Result<PollFlags> {
    let now = Timespec::default();
    let mut polled = [PollFd::new(&fd, events)];
    rustix::io::retry_on_intr(|| poll(&mut polled, Some(&now)))?;
    Ok(polled[0].revents())
}

/// Waits until no process has the writing end of a pipe that the guest reads.
pub(crate) async fn writers_gone(pipe: Weak<HeldFd>) {
    let Some(pipe) = pipe.upgrade() else { return };
    let Ok(registered) = register_fd(pipe, Interest::READABLE) else {
        return;
    };
    while let Ok(mut ready) = registered.ready(Interest::READABLE).await {
        if ready.ready().is_read_closed() {
            return;
        }
        ready.clear_ready();
    }
}

//! The host's ends of a child's pipes, for whoever takes them.
//!
//! The kernel's pipe is the only buffer: nothing is read before it is asked for,
//! and no task stands between, so that a reader that stops stops the child, and
//! dropping a future loses nothing. `tokio::process`'s streams would do for one
//! child; here the registry must be able to see that all writers are gone (a
//! grandchild may keep the pipe open past the child's end), without holding an
//! end itself that would keep the child's writes from failing.

use std::cell::{Cell, RefCell};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, ready};
use std::{fmt, io};

use rustix::buffer::spare_capacity;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pipe::PIPE_BUF;
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::runtime::Handle;

use crate::sandbox::sys::register_fd;

/// The reading end of a child's standard output or standard error.
///
/// Stays usable after the child has ended and its handle is gone, until the last
/// byte is read. Dropping it lets the child's next write fail.
#[derive(Debug)]
pub struct PipeReader {
    pipe: AsyncFd<Arc<OwnedFd>>,
    passed: Passed,
}

/// Where a reader reports how many bytes each read returned.
struct Passed(Box<dyn Fn(u64) + Send + Sync>);

impl fmt::Debug for Passed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passed")
    }
}

/// The writing end of a child's standard input. Dropping it is the child's end
/// of file.
#[derive(Debug)]
pub struct PipeWriter {
    pipe: AsyncFd<Arc<OwnedFd>>,
}

/// The ends that nobody has taken yet.
#[derive(Debug, Default)]
pub(crate) struct UntakenPipes {
    pub(crate) stdin: Option<Arc<OwnedFd>>,
    pub(crate) stdout: Option<Arc<OwnedFd>>,
    pub(crate) stderr: Option<Arc<OwnedFd>>,
}

/// Registers with the caller's runtime, which wakes a reader without a change of
/// thread; with the registry's where the caller has none.
fn register(
    fd: Arc<OwnedFd>,
    interest: Interest,
    registry: &Handle,
) -> io::Result<AsyncFd<Arc<OwnedFd>>> {
    let handle = Handle::try_current().unwrap_or_else(|_| registry.clone());
    let _entered = handle.enter();
    register_fd(fd, interest)
}

/// Calls `once` where the pipe is ready, or may be: readiness that is not known
/// yet is found out by trying.
fn attempt<R>(
    pipe: &AsyncFd<Arc<OwnedFd>>,
    interest: Interest,
    once: impl Fn(BorrowedFd<'_>) -> io::Result<R>,
) -> io::Result<R> {
    let tried = Cell::new(false);
    let result = pipe.try_io(interest, |fd| {
        tried.set(true);
        once(fd.as_fd())
    });
    if tried.get() {
        return result;
    }
    // Nothing is known, so that nothing needs to be forgotten if this fails.
    once(pipe.get_ref().as_fd())
}

/// What the kernel says of a pipe now, without waiting.
fn poll_now(fd: BorrowedFd<'_>, events: PollFlags) -> io::Result<PollFlags> {
    let now = Timespec::default();
    let mut polled = [PollFd::new(&fd, events)];
    rustix::io::retry_on_intr(|| poll(&mut polled, Some(&now)))?;
    Ok(polled[0].revents())
}

/// Says whether a pipe has this now, or has ended. The runtime remembers what was
/// once so: whoever took the last byte, and no more than it, forgot nothing.
fn has(pipe: &OwnedFd, wanted: PollFlags) -> io::Result<bool> {
    Ok(!poll_now(pipe.as_fd(), wanted)?.is_empty())
}

impl PipeReader {
    /// Returns the reader of `fd`; `passed` is told how many bytes each read returns.
    pub(crate) fn new(
        fd: Arc<OwnedFd>,
        passed: impl Fn(u64) + Send + Sync + 'static,
        registry: &Handle,
    ) -> io::Result<Self> {
        Ok(Self {
            pipe: register(fd, Interest::READABLE, registry)?,
            passed: Passed(Box::new(passed)),
        })
    }

    /// Reads what is there now into `buffer`, and returns how much that was; zero
    /// is the stream's end (or an empty buffer). Similar to `read` with `O_NONBLOCK`.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::WouldBlock`] where nothing is there; what the system says.
    pub fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        // A cell, because the closure may not borrow it for ever: it is written at two places and called at one.
        let buffer = RefCell::new(buffer);
        let read = attempt(&self.pipe, Interest::READABLE, |fd| {
            Ok(rustix::io::read(fd, &mut **buffer.borrow_mut())?)
        })?;
        self.seen(read);
        Ok(read)
    }

    /// Reads at most `max_bytes` of what is there now; an empty vector is the
    /// stream's end. The memory is not cleared first.
    ///
    /// # Errors
    ///
    /// As [`PipeReader::try_read`].
    pub fn try_read_vec(&self, max_bytes: usize) -> io::Result<Vec<u8>> {
        let bytes = RefCell::new(Vec::with_capacity(max_bytes));
        let read = attempt(&self.pipe, Interest::READABLE, |fd| {
            Ok(rustix::io::read(
                fd,
                spare_capacity(&mut *bytes.borrow_mut()),
            )?)
        })?;
        self.seen(read);
        Ok(bytes.into_inner())
    }

    /// Reads like [`PipeReader::try_read_vec`], and waits where nothing is there.
    /// A stream that always has something does not keep the thread from other
    /// tasks. Dropping the future loses nothing.
    ///
    /// # Errors
    ///
    /// What the system says; the runtime with which the stream was registered is
    /// shutting down.
    pub async fn read_vec(&self, max_bytes: usize) -> io::Result<Vec<u8>> {
        loop {
            tokio::task::consume_budget().await;
            match self.try_read_vec(max_bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.readable().await?,
                result => return result,
            }
        }
    }

    /// Whether a read has an answer now: bytes, the end, or an error. Asks the
    /// kernel, and so is right also before the runtime had a turn to notice.
    pub fn is_readable(&self) -> bool {
        let looked = attempt(&self.pipe, Interest::READABLE, |fd| {
            match poll_now(fd, PollFlags::IN)?.is_empty() {
                true => Err(io::ErrorKind::WouldBlock.into()),
                false => Ok(()),
            }
        });
        !looked.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Waits until there is something to read, the end included.
    ///
    /// # Errors
    ///
    /// The runtime with which the stream was registered is shutting down.
    pub async fn readable(&self) -> io::Result<()> {
        loop {
            let mut ready = self.pipe.readable().await?;
            if has(self.pipe.get_ref(), PollFlags::IN)? {
                ready.retain_ready();
                return Ok(());
            }
            ready.clear_ready();
        }
    }

    /// The same as [`PipeReader::readable`], for a task that polls.
    ///
    /// # Errors
    ///
    /// As [`PipeReader::readable`].
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let mut ready = ready!(self.pipe.poll_read_ready(cx))?;
            if has(self.pipe.get_ref(), PollFlags::IN)? {
                ready.retain_ready();
                return Poll::Ready(Ok(()));
            }
            ready.clear_ready();
        }
    }

    /// Reports what was read, for the child's limit on output.
    fn seen(&self, bytes: usize) {
        (self.passed.0)(bytes as u64);
    }
}

impl AsyncRead for PipeReader {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            match self.try_read(buffer.initialize_unfilled()) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    ready!(self.poll_readable(cx))?;
                }
                result => return Poll::Ready(result.map(|read| buffer.advance(read))),
            }
        }
    }
}

impl PipeWriter {
    pub(crate) fn new(fd: Arc<OwnedFd>, registry: &Handle) -> io::Result<Self> {
        let pipe = register(fd, Interest::WRITABLE, registry)?;
        Ok(Self { pipe })
    }

    /// Writes what the pipe takes now, and returns how much that was. Similar to
    /// `write` with `O_NONBLOCK`, except that no signal comes of it.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::WouldBlock`] where the pipe is full,
    /// [`io::ErrorKind::BrokenPipe`] where nobody reads any more; what the system
    /// says.
    pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        attempt(&self.pipe, Interest::WRITABLE, |fd| {
            Ok(rustix::io::write(fd, bytes)?)
        })
    }

    /// How many bytes [`PipeWriter::try_write`] takes whole now; zero where the
    /// pipe is full.
    ///
    /// An empty pipe takes its capacity. Where it holds something only one page
    /// is certain: the kernel counts pages, and says how many bytes lie in them,
    /// not how well they are filled. Holds as long as the child neither shrinks
    /// the pipe nor writes into it itself.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::BrokenPipe`] where nobody reads any more; what the system
    /// says.
    pub fn room(&self) -> io::Result<usize> {
        let room = attempt(&self.pipe, Interest::WRITABLE, |fd| {
            let events = poll_now(fd, PollFlags::OUT)?;
            if events.contains(PollFlags::ERR) {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            if !events.contains(PollFlags::OUT) {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            if rustix::io::ioctl_fionread(fd)? > 0 {
                return Ok(PIPE_BUF);
            }
            Ok(rustix::pipe::fcntl_getpipe_size(fd)?)
        });
        match room {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
            result => result,
        }
    }

    /// Waits until the pipe takes something, or nobody reads any more.
    ///
    /// # Errors
    ///
    /// The runtime with which the stream was registered is shutting down.
    pub async fn writable(&self) -> io::Result<()> {
        loop {
            let mut ready = self.pipe.writable().await?;
            if has(self.pipe.get_ref(), PollFlags::OUT)? {
                ready.retain_ready();
                return Ok(());
            }
            ready.clear_ready();
        }
    }

    /// The same as [`PipeWriter::writable`], for a task that polls.
    ///
    /// # Errors
    ///
    /// As [`PipeWriter::writable`].
    pub fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let mut ready = ready!(self.pipe.poll_write_ready(cx))?;
            if has(self.pipe.get_ref(), PollFlags::OUT)? {
                ready.retain_ready();
                return Poll::Ready(Ok(()));
            }
            ready.clear_ready();
        }
    }
}

impl AsyncWrite for PipeWriter {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        loop {
            match self.try_write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    ready!(self.poll_writable(cx))?;
                }
                result => return Poll::Ready(result),
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Does nothing: the end of file is the drop.
    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Waits until no writer is left on a pipe that somebody else reads.
pub(crate) async fn writers_gone(pipe: Weak<OwnedFd>) {
    let Some(pipe) = pipe.upgrade() else { return };
    let Ok(watched) = register_fd(pipe, Interest::READABLE) else {
        return;
    };
    while let Ok(mut ready) = watched.ready(Interest::READABLE).await {
        if ready.ready().is_read_closed() {
            return;
        }
        ready.clear_ready();
    }
}

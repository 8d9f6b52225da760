//! The host's ends of a child's pipes, for the guest to take.
//!
//! The kernel's pipe is the only buffer: nothing is read before it is asked for,
//! and no task sits in between. If the reader stops, the child stops too, and dropping
//! a future loses nothing. `tokio::process`'s streams would do for one child. Here
//! the registry must also see that all writers are gone (a grandchild may keep the
//! pipe open past the child's end) and it must not hold an end itself, or the
//! child's writes would never fail.

use std::cell::RefCell;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use rustix::buffer::spare_capacity;
use rustix::event::PollFlags;
use rustix::pipe::PIPE_BUF;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::runtime::Handle;

use super::account::HeldFd;
use super::pipe_end::{Direction, PipeEnd, poll_now};

/// The reading end of a child's standard output or standard error.
///
/// It stays usable after the child has ended and its handle is gone, until the
/// last byte is read. Dropping it makes the child's next write fail.
#[derive(Debug)]
pub struct PipeReader {
    pipe: PipeEnd,
    on_read: OnRead,
}

/// Is called with the number of bytes of each read.
struct OnRead(Box<dyn Fn(u64) + Send + Sync>);

impl fmt::Debug for OnRead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnRead")
    }
}

/// The writing end of a child's standard input. Dropping it is the child's end
/// of file.
#[derive(Debug)]
pub struct PipeWriter {
    pipe: PipeEnd,
}

/// The ends that the guest has not taken yet.
#[derive(Debug, Default)]
pub(crate) struct UntakenPipes {
    pub(super) stdin: Option<Arc<HeldFd>>,
    pub(super) stdout: Option<Arc<HeldFd>>,
    pub(super) stderr: Option<Arc<HeldFd>>,
}

impl UntakenPipes {
    /// Returns how many there are.
    pub(crate) fn count(&self) -> usize {
        let all = [&self.stdin, &self.stdout, &self.stderr];
        all.into_iter().flatten().count()
    }
}

impl PipeReader {
    /// Returns the reader of `fd`, which calls `on_read` with the number of bytes of
    /// each read.
    pub(crate) fn new(
        fd: Arc<HeldFd>,
        on_read: impl Fn(u64) + Send + Sync + 'static,
        registry: &Handle,
    ) -> io::Result<Self> {
        Ok(Self {
            pipe: PipeEnd::new(fd, Direction::Read, registry)?,
            on_read: OnRead(Box::new(on_read)),
        })
    }

    /// Reads what is there now into `buffer`, and returns how many bytes that were;
    /// zero is the end of the stream (or an empty buffer). Similar to `read` with
    /// `O_NONBLOCK`.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::WouldBlock`] where nothing is there; otherwise the system's.
    pub fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        // A cell, because `attempt` has two places that may call the closure, of which one does.
        let buffer = RefCell::new(buffer);
        let read = self
            .pipe
            .attempt(|fd| Ok(rustix::io::read(fd, &mut **buffer.borrow_mut())?))?;
        (self.on_read.0)(read as u64);
        Ok(read)
    }

    /// Reads at most `max_bytes` of what is there now; an empty vector is the end of
    /// the stream. The memory is not cleared first.
    ///
    /// # Errors
    ///
    /// As [`PipeReader::try_read`].
    pub fn try_read_vec(&self, max_bytes: usize) -> io::Result<Vec<u8>> {
        let bytes = RefCell::new(Vec::with_capacity(max_bytes));
        let read = self.pipe.attempt(|fd| {
            let mut bytes = bytes.borrow_mut();
            Ok(rustix::io::read(fd, spare_capacity(&mut *bytes))?)
        })?;
        (self.on_read.0)(read as u64);
        Ok(bytes.into_inner())
    }

    /// Reads like [`PipeReader::try_read_vec`], and waits where nothing is there.
    /// A stream that always has something does not keep the thread from other
    /// tasks. Dropping the future loses nothing.
    ///
    /// # Errors
    ///
    /// The system's; or the runtime with which the stream was registered is
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

    /// Returns whether a read has an answer now: bytes, the end, or an error. Asks
    /// the kernel, and so is right even before the runtime has noticed.
    pub fn is_readable(&self) -> bool {
        let ready = self.pipe.attempt(|fd| {
            if poll_now(fd, PollFlags::IN)?.is_empty() {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            Ok(())
        });
        !ready.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Waits until there is something to read, the end included.
    ///
    /// # Errors
    ///
    /// The runtime with which the stream was registered is shutting down.
    pub async fn readable(&self) -> io::Result<()> {
        self.pipe.ready().await
    }

    /// Does what [`PipeReader::readable`] does, for a task that polls.
    ///
    /// # Errors
    ///
    /// As [`PipeReader::readable`].
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.pipe.poll_ready(cx)
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
    pub(crate) fn new(fd: Arc<HeldFd>, registry: &Handle) -> io::Result<Self> {
        let pipe = PipeEnd::new(fd, Direction::Write, registry)?;
        Ok(Self { pipe })
    }

    /// Writes what the pipe takes now, and returns how many bytes that were. Similar
    /// to `write` with `O_NONBLOCK`, except that it raises no signal.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::WouldBlock`] where the pipe is full,
    /// [`io::ErrorKind::BrokenPipe`] where nobody reads any more; otherwise the
    /// system's.
    pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.pipe.attempt(|fd| Ok(rustix::io::write(fd, bytes)?))
    }

    /// Returns how many bytes [`PipeWriter::try_write`] takes whole now; zero where
    /// the pipe is full.
    ///
    /// An empty pipe takes its capacity. Where it holds something only one page is
    /// certain: the kernel counts pages, and reports how many bytes lie in them, not
    /// how well they are filled. This holds as long as the child neither shrinks the
    /// pipe nor writes into it itself.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::BrokenPipe`] where nobody reads any more; otherwise the
    /// system's.
    pub fn room(&self) -> io::Result<usize> {
        let room = self.pipe.attempt(|fd| {
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
        self.pipe.ready().await
    }

    /// Does what [`PipeWriter::writable`] does, for a task that polls.
    ///
    /// # Errors
    ///
    /// As [`PipeWriter::writable`].
    pub fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.pipe.poll_ready(cx)
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

    /// Does nothing: dropping the writer is the end of file.
    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

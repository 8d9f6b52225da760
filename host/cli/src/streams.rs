//! The command's own standard streams, which may be non-blocking at any time.
//!
//! `O_NONBLOCK` belongs to an open file that several processes share: a program that sets it for itself, on a terminal or
//! on a pipe, sets it for all of them. Rust's standard streams then fail with `EAGAIN` in the middle of the data. These
//! wait and continue. Rejected: to clear the flag, which breaks the program that has set it, and to open the file once more
//! by `/proc/self/fd`, which is impossible for a socket and for another user's pipe.

use std::io::{self, Write};
use std::mem;
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use capspawn_native::escape;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::cli::{IsTerminal, StdinStream, StdoutStream};
use wasmtime_wasi::p2::{InputStream, OutputStream, Pollable, StreamError, StreamResult};

/// The most bytes of one read or write of a component.
const MAX_BYTES: usize = 64 * 1024;

/// Calls `attempt` until it does something else than fail for lack of readiness.
fn until_ready<T>(
    fd: BorrowedFd<'_>,
    events: PollFlags,
    mut attempt: impl FnMut() -> Result<T, Errno>,
) -> io::Result<T> {
    loop {
        match attempt() {
            Err(Errno::AGAIN) => match poll(&mut [PollFd::new(&fd, events)], None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            },
            Err(Errno::INTR) => {}
            result => return Ok(result?),
        }
    }
}

/// Standard output or standard error, without a buffer.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Output {
    Stdout,
    Stderr,
}

impl Output {
    fn with_fd<T>(self, call: impl FnOnce(BorrowedFd<'_>) -> T) -> T {
        match self {
            Self::Stdout => call(io::stdout().as_fd()),
            Self::Stderr => call(io::stderr().as_fd()),
        }
    }
}

/// A reader of standard error that is gone changes nothing for the component: what it writes there is lost, as the
/// command's own notes are. The print macros of most languages would otherwise end it by a trap.
impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written =
            self.with_fd(|fd| until_ready(fd, PollFlags::OUT, || rustix::io::write(fd, bytes)));
        match (*self, written) {
            (Self::Stderr, Err(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
                Ok(bytes.len())
            }
            (_, written) => written,
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl IsTerminal for Output {
    fn is_terminal(&self) -> bool {
        self.with_fd(|fd| io::IsTerminal::is_terminal(&fd))
    }
}

impl StdoutStream for Output {
    /// The stream of version 0.3.
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(*self)
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(*self)
    }
}

#[async_trait]
impl Pollable for Output {
    async fn ready(&mut self) {}
}

/// A write of version 0.3 waits until some bytes are written.
impl AsyncWrite for Output {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Write::write(&mut *self, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// A write waits until all bytes are written, like that of a program to a blocking stream.
#[async_trait]
impl OutputStream for Output {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.write_all(&bytes).map_err(failure)
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(MAX_BYTES)
    }
}

/// The longest that a note or a record of the log waits for a reader: 1 s. Once it has waited in vain, the next ones do
/// not wait until there is room again.
const PATIENCE: Duration = Duration::from_secs(1);

/// The most bytes that one write adds to a pipe that has room without blocking (`PIPE_BUF`).
const PIPE_BUF: usize = 4096;

/// The command's own lines on standard error. A reader that does not read does not stop the command, and one that is
/// gone changes nothing: the lines are lost.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Notes;

impl Write for Notes {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        static IS_STALLED: AtomicBool = AtomicBool::new(false);
        let patience = match IS_STALLED.load(Ordering::Relaxed) {
            true => Duration::ZERO,
            false => PATIENCE,
        };
        let has_room = Output::Stderr.with_fd(|fd| wait_for_room(fd, patience))?;
        IS_STALLED.store(!has_room, Ordering::Relaxed);
        if !has_room {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let part = &bytes[..bytes.len().min(PIPE_BUF)];
        Output::Stderr.with_fd(|fd| Ok(rustix::io::write(fd, part)?))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Waits until `fd` takes bytes, for at most `patience`, and returns whether it does.
pub(crate) fn wait_for_room(fd: impl AsFd, patience: Duration) -> io::Result<bool> {
    let deadline = Instant::now() + patience;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).unwrap_or_default();
        match poll(&mut [PollFd::new(&fd, PollFlags::OUT)], Some(&left)) {
            Ok(count) => return Ok(count > 0),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// The log on standard error, one line for each record: a record of a dependency may contain strings of a component.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Log;

impl Write for Log {
    fn write(&mut self, record: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(record);
        let line = escape::line(text.trim_end_matches('\n')).into_owned() + "\n";
        // The record is lost if nobody reads it.
        let _ = Notes.write_all(line.as_bytes());
        Ok(record.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Standard input. All streams of a component share it. Nothing is read before the component requests it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Input(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    has_read: Arc<Notify>,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Idle,
    /// A thread waits for input.
    Reading,
    Data(BytesMut),
    Failed(io::Error),
    Closed,
}

impl Input {
    fn state(&self) -> MutexGuard<'_, State> {
        let state = self.0.state.lock();
        state.unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads at most `max_bytes` in a thread that may block.
    fn start(&self, max_bytes: usize) {
        let input = self.clone();
        tokio::task::spawn_blocking(move || {
            let mut bytes = BytesMut::zeroed(max_bytes.clamp(1, MAX_BYTES));
            let stdin = io::stdin();
            let fd = stdin.as_fd();
            let read = until_ready(fd, PollFlags::IN, || rustix::io::read(fd, &mut bytes[..]));
            *input.state() = match read {
                Ok(0) => State::Closed,
                Ok(count) => {
                    bytes.truncate(count);
                    State::Data(bytes)
                }
                Err(error) => State::Failed(error),
            };
            input.0.has_read.notify_waiters();
        });
    }

    /// Returns what was read; nothing while a thread waits for input, which this starts if
    /// there is none.
    fn take(&self, state: &mut State, max_bytes: usize) -> StreamResult<Bytes> {
        match mem::replace(state, State::Reading) {
            State::Idle => {
                self.start(max_bytes);
                Ok(Bytes::new())
            }
            State::Reading => Ok(Bytes::new()),
            State::Data(mut bytes) => {
                let read = bytes.split_to(bytes.len().min(max_bytes));
                *state = match bytes.is_empty() {
                    true => State::Idle,
                    false => State::Data(bytes),
                };
                Ok(read.freeze())
            }
            State::Failed(error) => {
                *state = State::Closed;
                Err(failure(error))
            }
            State::Closed => {
                *state = State::Closed;
                Err(StreamError::Closed)
            }
        }
    }
}

impl IsTerminal for Input {
    fn is_terminal(&self) -> bool {
        io::IsTerminal::is_terminal(&io::stdin())
    }
}

impl StdinStream for Input {
    /// The stream of version 0.3.
    fn async_stream(&self) -> Box<dyn AsyncRead + Send + Sync> {
        Box::new(Reader {
            input: self.clone(),
            has_read: None,
        })
    }

    fn p2_stream(&self) -> Box<dyn InputStream> {
        Box::new(self.clone())
    }
}

#[async_trait]
impl Pollable for Input {
    async fn ready(&mut self) {
        let read = {
            let mut state = self.state();
            // Created under the lock, so that the end of this read is not missed.
            let read = self.0.has_read.notified();
            match &*state {
                State::Idle => {
                    *state = State::Reading;
                    self.start(MAX_BYTES);
                }
                State::Reading => {}
                State::Data(_) | State::Failed(_) | State::Closed => return,
            }
            read
        };
        read.await;
    }
}

#[async_trait]
impl InputStream for Input {
    fn read(&mut self, max_bytes: usize) -> StreamResult<Bytes> {
        if max_bytes == 0 {
            return Ok(Bytes::new());
        }
        self.take(&mut self.state(), max_bytes)
    }
}

/// A reader of [`Input`] for version 0.3.
#[derive(Debug)]
struct Reader {
    input: Input,
    /// Resolves when the thread that waits for input has read some.
    has_read: Option<Pin<Box<OwnedNotified>>>,
}

impl AsyncRead for Reader {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            if let Some(has_read) = &mut self.has_read {
                ready!(has_read.as_mut().poll(context));
                self.has_read = None;
            }
            let input = self.input.clone();
            let mut state = input.state();
            // Created under the lock, so that the end of this read is not missed.
            let has_read = Arc::clone(&input.0.has_read).notified_owned();
            match input.take(&mut state, buffer.remaining()) {
                Ok(bytes) if bytes.is_empty() => self.has_read = Some(Box::pin(has_read)),
                Ok(bytes) => {
                    buffer.put_slice(&bytes);
                    return Poll::Ready(Ok(()));
                }
                Err(StreamError::Closed) => return Poll::Ready(Ok(())),
                Err(error) => return Poll::Ready(Err(io::Error::other(error))),
            }
        }
    }
}

/// Returns the error of a stream; one that nobody reads is closed.
fn failure(error: io::Error) -> StreamError {
    match error.kind() {
        io::ErrorKind::BrokenPipe => StreamError::Closed,
        _ => StreamError::LastOperationFailed(error.into()),
    }
}

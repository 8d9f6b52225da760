//! The command's own standard streams, which may be non-blocking at any time.
//!
//! `O_NONBLOCK` belongs to an open file that several processes share: a program that sets it for itself, on a terminal or
//! on a pipe, sets it for all of them. Rust's standard streams then fail with `EAGAIN` in the middle of the data. These
//! wait and go on. Rejected: to clear the flag, which breaks the program that has set it, and to open the file once more
//! by `/proc/self/fd`, which is impossible for a socket and for another user's pipe.

use std::io::{self, Write};
use std::mem;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Notify;
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

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.with_fd(|fd| until_ready(fd, PollFlags::OUT, || rustix::io::write(fd, bytes)))
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
    /// Unused: the command links version 0.2 of WASI alone.
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        match self {
            Self::Stdout => Box::new(tokio::io::stdout()),
            Self::Stderr => Box::new(tokio::io::stderr()),
        }
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(*self)
    }
}

#[async_trait]
impl Pollable for Output {
    async fn ready(&mut self) {}
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

/// Standard input. All streams of a component share it. Nothing is read before the component requests it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Input(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    has_read: Notify,
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
}

impl IsTerminal for Input {
    fn is_terminal(&self) -> bool {
        io::IsTerminal::is_terminal(&io::stdin())
    }
}

impl StdinStream for Input {
    /// Unused: the command links version 0.2 of WASI alone.
    fn async_stream(&self) -> Box<dyn AsyncRead + Send + Sync> {
        Box::new(tokio::io::stdin())
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
        let mut state = self.state();
        match mem::replace(&mut *state, State::Reading) {
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

/// Returns the error of a stream; one that nobody reads is closed.
fn failure(error: io::Error) -> StreamError {
    match error.kind() {
        io::ErrorKind::BrokenPipe => StreamError::Closed,
        _ => StreamError::LastOperationFailed(error.into()),
    }
}

//! The component's ends of a child's pipes.

use std::io::{self, Read, Write};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use wasip2::io::poll::Pollable;
use wasip2::io::streams::{InputStream, OutputStream, StreamError};

use crate::bindings::capspawn::process::spawn;
use crate::error::{Error, failed, stream_failed};
use crate::{reactor, wait};

/// The most bytes that one read or write moves: as many as a pipe of Linux holds.
const PIPE_BYTES: usize = 64 * 1024;

/// The writing end of a child's standard input: [`std::process::ChildStdin`]. Dropping it is
/// the end of the input.
///
/// It implements [`Write`] and the asynchronous [`futures_io::AsyncWrite`].
#[derive(Debug)]
pub struct ChildStdin {
    /// Registered with the reactor. Dropped before its stream, as WASI requires.
    pending: Option<Arc<Pollable>>,
    stream: OutputStream,
    child: Arc<spawn::Child>,
}

/// The reading end of one of a child's output streams.
#[derive(Debug)]
struct Reader {
    /// Registered with the reactor. Dropped before its stream, as WASI requires.
    pending: Option<Arc<Pollable>>,
    stream: InputStream,
    child: Arc<spawn::Child>,
}

/// The reading end of a child's standard output: [`std::process::ChildStdout`].
///
/// It implements [`Read`] and the asynchronous [`futures_io::AsyncRead`].
#[derive(Debug)]
pub struct ChildStdout(Reader);

/// The reading end of a child's standard error: [`std::process::ChildStderr`].
///
/// It implements [`Read`] and the asynchronous [`futures_io::AsyncRead`].
#[derive(Debug)]
pub struct ChildStderr(Reader);

impl ChildStdin {
    pub(crate) fn take(child: &Arc<spawn::Child>) -> io::Result<Self> {
        Ok(Self {
            pending: None,
            stream: child.take_stdin().map_err(failed)?,
            child: Arc::clone(child),
        })
    }

    /// Returns the stream, and the handle that keeps the child alive as this pipe did.
    pub(crate) fn into_parts(self) -> (OutputStream, Arc<spawn::Child>) {
        (self.stream, self.child)
    }

    pub(crate) fn subscribe(&self) -> Pollable {
        self.stream.subscribe()
    }

    /// Writes what the pipe takes now; zero bytes if it is full.
    pub(crate) fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = self.stream.check_write().map_err(closed)?;
        let room = usize::try_from(room).unwrap_or(usize::MAX);
        let count = bytes.len().min(room).min(PIPE_BYTES);
        if count > 0 {
            self.stream.write(&bytes[..count]).map_err(closed)?;
        }
        Ok(count)
    }
}

/// A stream that is closed cannot be written to.
fn closed(error: StreamError) -> io::Error {
    stream_failed(&error).unwrap_or_else(|| Error::BrokenPipe.into())
}

impl Write for ChildStdin {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            let count = self.try_write(bytes)?;
            if count > 0 || bytes.is_empty() {
                return Ok(count);
            }
            wait::block(&[&self.stream.subscribe()]);
        }
    }

    /// Does nothing: what was written is in the pipe.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl futures_io::AsyncWrite for ChildStdin {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.pending = None;
        let count = self.try_write(bytes)?;
        if count > 0 || bytes.is_empty() {
            return Poll::Ready(Ok(count));
        }
        self.pending = Some(reactor::register(self.stream.subscribe(), context));
        Poll::Pending
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Does nothing: the input ends when the pipe is dropped.
    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl Reader {
    fn new(stream: InputStream, child: &Arc<spawn::Child>) -> Self {
        Self {
            pending: None,
            stream,
            child: Arc::clone(child),
        }
    }

    /// Reads what is there now. None is nothing yet, and zero bytes are the end.
    fn try_read(&mut self, max_bytes: usize) -> io::Result<Option<Vec<u8>>> {
        match self.stream.read(max_bytes.min(PIPE_BYTES) as u64) {
            Ok(bytes) if bytes.is_empty() => Ok(None),
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) => stream_failed(&error).map_or_else(|| Ok(Some(Vec::new())), Err),
        }
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            if let Some(bytes) = self.try_read(buffer.len())? {
                buffer[..bytes.len()].copy_from_slice(&bytes);
                return Ok(bytes.len());
            }
            wait::block(&[&self.stream.subscribe()]);
        }
    }

    fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.pending = None;
        if buffer.is_empty() {
            return Poll::Ready(Ok(0));
        }
        if let Some(bytes) = self.try_read(buffer.len())? {
            buffer[..bytes.len()].copy_from_slice(&bytes);
            return Poll::Ready(Ok(bytes.len()));
        }
        self.pending = Some(reactor::register(self.stream.subscribe(), context));
        Poll::Pending
    }
}

/// Both output streams of a child read alike.
macro_rules! output {
    ($name:ident, $take:ident) => {
        impl $name {
            pub(crate) fn take(child: &Arc<spawn::Child>) -> io::Result<Self> {
                let stream = child.$take().map_err(failed)?;
                Ok(Self(Reader::new(stream, child)))
            }

            /// Returns the stream, and the handle that keeps the child alive as this pipe did.
            pub(crate) fn into_parts(self) -> (InputStream, Arc<spawn::Child>) {
                (self.0.stream, self.0.child)
            }

            pub(crate) fn subscribe(&self) -> Pollable {
                self.0.stream.subscribe()
            }

            /// Reads what is there now. None is nothing yet, and zero bytes are the end.
            pub(crate) fn try_read(&mut self) -> io::Result<Option<Vec<u8>>> {
                self.0.try_read(PIPE_BYTES)
            }
        }

        impl Read for $name {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                self.0.read(buffer)
            }
        }

        impl futures_io::AsyncRead for $name {
            fn poll_read(
                mut self: Pin<&mut Self>,
                context: &mut Context<'_>,
                buffer: &mut [u8],
            ) -> Poll<io::Result<usize>> {
                self.0.poll_read(context, buffer)
            }
        }
    };
}

output!(ChildStdout, take_stdout);
output!(ChildStderr, take_stderr);

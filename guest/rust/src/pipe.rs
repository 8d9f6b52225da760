//! The component's ends of a child's pipes.

use std::io::{self, Read, Write};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use wasip2::io::poll::Pollable;
use wasip2::io::streams::{InputStream, OutputStream, StreamError};

use crate::bindings::capspawn::process::spawn;
use crate::bindings::capspawn::process::types::{ErrorCode, PipeReader, PipeWriter};
use crate::error::{Error, failed, stream_failed};
use crate::{reactor, wait};

/// The most bytes that one read or write moves: as many as a pipe of Linux holds.
const PIPE_BYTES: usize = 64 * 1024;

/// The writing end of a child's standard input: [`std::process::ChildStdin`]. Dropping it is
/// the end of the input.
///
/// It implements [`Write`] and the asynchronous [`futures_io::AsyncWrite`].
#[derive(Debug)]
pub struct ChildStdin(End<OutputStream>);

/// The reading end of a child's standard output: [`std::process::ChildStdout`].
///
/// It implements [`Read`] and the asynchronous [`futures_io::AsyncRead`].
#[derive(Debug)]
pub struct ChildStdout(End<InputStream>);

/// The reading end of a child's standard error: [`std::process::ChildStderr`].
///
/// It implements [`Read`] and the asynchronous [`futures_io::AsyncRead`].
#[derive(Debug)]
pub struct ChildStderr(End<InputStream>);

/// Takes a stream from a child.
type Take<S> = fn(&spawn::Child) -> Result<S, ErrorCode>;

/// The component's end of a pipe.
///
/// The stream is taken from the child when it is first used: a pipe whose stream was not taken can
/// be passed to another child.
#[derive(Debug)]
struct End<S> {
    /// Registered with the reactor. Dropped before its stream, as WASI requires.
    pending: Option<Arc<Pollable>>,
    stream: Option<S>,
    /// None after the stream was taken or passed.
    take: Option<Take<S>>,
    child: Arc<spawn::Child>,
}

impl<S> End<S> {
    fn new(child: &Arc<spawn::Child>, take: Take<S>) -> Self {
        Self {
            pending: None,
            stream: None,
            take: Some(take),
            child: Arc::clone(child),
        }
    }

    fn stream(&mut self) -> io::Result<&S> {
        if let Some(take) = self.take.take() {
            self.stream = Some(take(&self.child).map_err(failed)?);
        }
        self.stream
            .as_ref()
            .ok_or_else(|| Error::InvalidState.into())
    }

    /// Returns the stream, and the handle that keeps the child alive as this end did.
    fn into_parts(mut self) -> io::Result<(S, Arc<spawn::Child>)> {
        self.stream()?;
        let stream = self.stream.take().ok_or(Error::InvalidState)?;
        Ok((stream, Arc::clone(&self.child)))
    }

    /// Returns what `pass` returns, and the same handle; none if the stream was taken.
    fn pass<P>(
        &mut self,
        pass: fn(&spawn::Child) -> Result<P, ErrorCode>,
    ) -> io::Result<Option<(P, Arc<spawn::Child>)>> {
        if self.take.is_none() {
            return Ok(None);
        }
        let passed = pass(&self.child).map_err(failed)?;
        self.take = None;
        Ok(Some((passed, Arc::clone(&self.child))))
    }
}

impl<S> Drop for End<S> {
    /// Closes a stream that was never used.
    fn drop(&mut self) {
        self.pending = None;
        if let Some(take) = self.take {
            let _ = take(&self.child);
        }
    }
}

impl ChildStdin {
    pub(crate) fn new(child: &Arc<spawn::Child>) -> Self {
        Self(End::new(child, spawn::Child::take_stdin))
    }

    /// Takes the stream now, and fails if there is none.
    pub(crate) fn taken(child: &Arc<spawn::Child>) -> io::Result<Self> {
        let mut this = Self::new(child);
        this.0.stream()?;
        Ok(this)
    }

    /// Returns the stream, and the handle that keeps the child alive as this pipe did.
    pub(crate) fn into_parts(self) -> io::Result<(OutputStream, Arc<spawn::Child>)> {
        self.0.into_parts()
    }

    /// Passes the pipe on to another child; none if it was used.
    pub(crate) fn pass(&mut self) -> io::Result<Option<(PipeWriter, Arc<spawn::Child>)>> {
        self.0.pass(spawn::Child::pass_stdin)
    }

    pub(crate) fn subscribe(&mut self) -> io::Result<Pollable> {
        Ok(self.0.stream()?.subscribe())
    }

    /// Writes what the pipe takes now; zero bytes if it is full.
    pub(crate) fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let stream = self.0.stream()?;
        let room = stream.check_write().map_err(closed)?;
        let room = usize::try_from(room).unwrap_or(usize::MAX);
        let count = bytes.len().min(room).min(PIPE_BYTES);
        if count > 0 {
            stream.write(&bytes[..count]).map_err(closed)?;
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
            wait::block(&[&self.subscribe()?]);
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
        self.0.pending = None;
        let count = self.try_write(bytes)?;
        if count > 0 || bytes.is_empty() {
            return Poll::Ready(Ok(count));
        }
        let pollable = self.subscribe()?;
        self.0.pending = Some(reactor::register(pollable, context));
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

impl End<InputStream> {
    /// Reads what is there now. None is nothing yet, and zero bytes are the end.
    fn try_read(&mut self, max_bytes: usize) -> io::Result<Option<Vec<u8>>> {
        match self.stream()?.read(max_bytes.min(PIPE_BYTES) as u64) {
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
            wait::block(&[&self.stream()?.subscribe()]);
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
        let pollable = self.stream()?.subscribe();
        self.pending = Some(reactor::register(pollable, context));
        Poll::Pending
    }
}

/// Both output streams of a child read alike.
macro_rules! output {
    ($name:ident, $take:ident, $pass:ident) => {
        impl $name {
            pub(crate) fn new(child: &Arc<spawn::Child>) -> Self {
                Self(End::new(child, spawn::Child::$take))
            }

            /// Takes the stream now, and fails if there is none.
            pub(crate) fn taken(child: &Arc<spawn::Child>) -> io::Result<Self> {
                let mut this = Self::new(child);
                this.0.stream()?;
                Ok(this)
            }

            /// Returns the stream, and the handle that keeps the child alive as this pipe did.
            pub(crate) fn into_parts(self) -> io::Result<(InputStream, Arc<spawn::Child>)> {
                self.0.into_parts()
            }

            /// Passes the pipe on to another child; none if it was used.
            pub(crate) fn pass(&mut self) -> io::Result<Option<(PipeReader, Arc<spawn::Child>)>> {
                self.0.pass(spawn::Child::$pass)
            }

            pub(crate) fn subscribe(&mut self) -> io::Result<Pollable> {
                Ok(self.0.stream()?.subscribe())
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

output!(ChildStdout, take_stdout, pass_stdout);
output!(ChildStderr, take_stderr, pass_stderr);

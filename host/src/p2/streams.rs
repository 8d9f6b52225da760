//! A child's pipes as `wasi:io` streams.
//!
//! Each call of the guest is one read or write of the pipe itself: no task, no
//! read-ahead, so that a guest that stops reading stops the child, and a stream
//! costs no memory between calls. The ready-made adapters of wasmtime-wasi start
//! a task a stream, which reads ahead and keeps a chunk of its own.
//!
//! What the guest may write at once is what the pipe takes whole: a write is in
//! the pipe when it returns, and dropping the stream loses nothing. A fixed permit
//! would leave a rest with the host that nobody writes while the guest waits for
//! the child's answer to it.

#[cfg(test)]
#[path = "stream_tests.rs"]
mod tests;

use std::io;

use bytes::{Buf as _, Bytes};
use capspawn_native::{PipeReader, PipeWriter};
use wasmtime_wasi::async_trait;
use wasmtime_wasi::p2::{InputStream, OutputStream, Pollable, StreamError, StreamResult};

use crate::ErrorCode;

/// The most that one call reads or writes: the capacity of a pipe. A guest may
/// ask for more, and must not make the host allocate it.
const MAX_BYTES: usize = 64 * 1024;

/// The child's standard output or standard error, until its end was read.
pub(super) struct Reading(Option<PipeReader>);

impl Reading {
    pub(super) fn new(pipe: PipeReader) -> Self {
        Self(Some(pipe))
    }

    /// Tells bytes, "nothing there", the end and a failure apart. The last two
    /// close the pipe.
    fn answer(&mut self, read: io::Result<Vec<u8>>) -> StreamResult<Bytes> {
        match read {
            Ok(bytes) if bytes.is_empty() => {
                self.0 = None;
                Err(StreamError::Closed)
            }
            Ok(bytes) => Ok(bytes.into()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Bytes::new()),
            Err(error) => {
                self.0 = None;
                Err(failed(error))
            }
        }
    }
}

/// An error that `process-error-code` understands.
fn failed(error: io::Error) -> StreamError {
    StreamError::LastOperationFailed(ErrorCode::from(error).into())
}

#[async_trait]
impl Pollable for Reading {
    async fn ready(&mut self) {
        let Some(pipe) = &self.0 else { return };
        // A runtime that shuts down wakes nobody any more: let the read tell.
        while !pipe.is_readable() && pipe.readable().await.is_ok() {}
    }
}

#[async_trait]
impl InputStream for Reading {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        let pipe = self.0.as_ref().ok_or(StreamError::Closed)?;
        if size == 0 {
            return Ok(Bytes::new());
        }
        let read = pipe.try_read_vec(size.min(MAX_BYTES));
        self.answer(read)
    }

    /// Reads before it waits: the default would wait first, and gives up with a
    /// trap after some vain attempts.
    async fn blocking_read(&mut self, size: usize) -> StreamResult<Bytes> {
        if size == 0 {
            self.ready().await;
            return self.read(0);
        }
        let pipe = self.0.as_ref().ok_or(StreamError::Closed)?;
        let read = pipe.read_vec(size.min(MAX_BYTES)).await;
        self.answer(read)
    }
}

/// The child's standard input, until a write failed.
pub(super) struct Writing {
    pipe: Option<PipeWriter>,
    /// What the guest may write without asking again.
    permit: usize,
    /// Accepted, and not yet in the pipe. Empty between calls, unless the child
    /// made its pipe smaller after the permit was given.
    rest: Bytes,
    /// A failure while the guest waited, to be told when it asks.
    failure: Option<StreamError>,
    /// The next wait is for a flush, not for room.
    flushing: bool,
}

impl Writing {
    pub(super) fn new(pipe: PipeWriter) -> Self {
        Self {
            pipe: Some(pipe),
            permit: 0,
            rest: Bytes::new(),
            failure: None,
            flushing: false,
        }
    }

    fn fail(&mut self, error: io::Error) -> StreamError {
        self.pipe = None;
        self.rest = Bytes::new();
        failed(error)
    }

    /// The pipe; what it failed with, once; closed from then on.
    fn pipe(&mut self) -> StreamResult<&PipeWriter> {
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        self.pipe.as_ref().ok_or(StreamError::Closed)
    }

    /// Writes as much of the rest as the pipe takes.
    fn drain(&mut self) -> StreamResult<()> {
        while !self.rest.is_empty() {
            let Some(pipe) = &self.pipe else { break };
            match pipe.try_write(&self.rest) {
                Ok(written) => self.rest.advance(written),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(self.fail(error)),
            }
        }
        Ok(())
    }

    /// Waits until the rest is written.
    async fn drained(&mut self) -> StreamResult<()> {
        loop {
            self.drain()?;
            if self.rest.is_empty() {
                return Ok(());
            }
            if let Err(error) = self.pipe()?.writable().await {
                return Err(self.fail(error));
            }
        }
    }
}

#[async_trait]
impl Pollable for Writing {
    async fn ready(&mut self) {
        if self.failure.is_some() {
            return;
        }
        if let Err(failure) = self.drained().await {
            self.failure = Some(failure);
            return;
        }
        let Some(pipe) = &self.pipe else { return };
        while matches!(pipe.room(), Ok(0)) && pipe.writable().await.is_ok() {}
    }
}

#[async_trait]
impl OutputStream for Writing {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.pipe()?;
        if bytes.len() > self.permit {
            return Err(StreamError::trap("more bytes than `check-write` permits"));
        }
        self.permit = 0;
        self.flushing = false;
        self.rest = bytes;
        self.drain()
    }

    /// Nothing to do: what was written is in the pipe.
    fn flush(&mut self) -> StreamResult<()> {
        self.pipe()?;
        self.flushing = true;
        self.drain()
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        self.permit = 0;
        self.flushing = false;
        self.pipe()?;
        self.drain()?;
        if self.rest.is_empty() {
            let room = self.pipe()?.room();
            let room = room.map_err(|error| self.fail(error))?;
            self.permit = room.min(MAX_BYTES);
        }
        Ok(self.permit)
    }

    /// Returns as soon as the bytes are in the pipe; the default would then wait
    /// until the child has read some of them.
    async fn blocking_write_and_flush(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.pipe()?;
        self.permit = 0;
        self.drained().await?;
        self.rest = bytes;
        self.drained().await
    }

    /// Of a flush only the rest is waited for, for the same reason; the answer
    /// may be zero then.
    async fn write_ready(&mut self) -> StreamResult<usize> {
        if self.flushing {
            self.drained().await?;
        } else {
            self.ready().await;
        }
        self.check_write()
    }
}

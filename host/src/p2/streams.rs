//! A child's pipes as `wasi:io` streams.
//!
//! Each call of the guest is one read or write of the pipe itself, without a task
//! and without read-ahead. So a guest that stops reading stops the child, and a
//! stream uses no memory between calls. The adapters of wasmtime-wasi start a task
//! for each stream, which reads ahead and keeps a buffer of its own.
//!
//! `check-write` permits as many bytes as the pipe takes whole. Therefore a write
//! is in the pipe when it returns, and dropping the stream loses nothing. With a
//! fixed permit the host would keep the bytes that do not fit, and nothing would
//! write them while the guest waits for the child's reply.

use std::io;

use bytes::{Buf as _, Bytes};
use capspawn_native::{PipeReader, PipeWriter};
use wasmtime_wasi::async_trait;
use wasmtime_wasi::p2::{InputStream, OutputStream, Pollable, StreamError, StreamResult};

use crate::error::ErrorCode;

/// The most bytes that one call reads or writes: 64 KiB, the capacity of a pipe. A
/// guest that requests more must not make the host allocate more.
const MAX_BYTES: usize = 64 * 1024;

/// A child's standard output or standard error; none once its end was read.
pub(super) struct PipeInput(Option<PipeReader>);

impl PipeInput {
    pub(super) fn new(pipe: PipeReader) -> Self {
        Self(Some(pipe))
    }

    /// Converts the result of a read. The end and a failure close the pipe; an
    /// empty pipe yields no bytes.
    fn result(&mut self, read: io::Result<Vec<u8>>) -> StreamResult<Bytes> {
        match read {
            Ok(bytes) if bytes.is_empty() => {
                self.0 = None;
                Err(StreamError::Closed)
            }
            Ok(bytes) => Ok(bytes.into()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Bytes::new()),
            Err(error) => {
                self.0 = None;
                Err(stream_error(error))
            }
        }
    }
}

/// Returns an error whose code `process-error-code` finds.
fn stream_error(error: io::Error) -> StreamError {
    StreamError::LastOperationFailed(ErrorCode::from(error).into())
}

#[async_trait]
impl Pollable for PipeInput {
    async fn ready(&mut self) {
        let Some(pipe) = &self.0 else { return };
        // An error means that the runtime shuts down: the next read reports it.
        while !pipe.is_readable() && pipe.readable().await.is_ok() {}
    }
}

#[async_trait]
impl InputStream for PipeInput {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        let pipe = self.0.as_ref().ok_or(StreamError::Closed)?;
        if size == 0 {
            return Ok(Bytes::new());
        }
        let read = pipe.try_read_vec(size.min(MAX_BYTES));
        self.result(read)
    }

    /// Reads before it waits. The default implementation waits first, and traps
    /// after a number of attempts without bytes.
    async fn blocking_read(&mut self, size: usize) -> StreamResult<Bytes> {
        if size == 0 {
            self.ready().await;
            return self.read(0);
        }
        let pipe = self.0.as_ref().ok_or(StreamError::Closed)?;
        let read = pipe.read_vec(size.min(MAX_BYTES)).await;
        self.result(read)
    }
}

/// A child's standard input.
pub(super) struct PipeOutput {
    /// None once a write has failed.
    pipe: Option<PipeWriter>,
    /// The bytes that the guest may write before it calls `check-write` again.
    permit: usize,
    /// Bytes that were accepted and are not in the pipe. Empty between calls,
    /// unless the child made its pipe smaller after the permit was given.
    pending: Bytes,
    /// A failure while the guest waited, for its next call to report.
    failure: Option<StreamError>,
    /// Whether the next wait is for a flush, and not for room.
    flushing: bool,
}

impl PipeOutput {
    pub(super) fn new(pipe: PipeWriter) -> Self {
        Self {
            pipe: Some(pipe),
            permit: 0,
            pending: Bytes::new(),
            failure: None,
            flushing: false,
        }
    }

    fn fail(&mut self, error: io::Error) -> StreamError {
        self.pipe = None;
        self.pending = Bytes::new();
        stream_error(error)
    }

    /// Returns the pipe, or reports its failure once and `Closed` from then on.
    fn pipe(&mut self) -> StreamResult<&PipeWriter> {
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        self.pipe.as_ref().ok_or(StreamError::Closed)
    }

    /// Writes as many of the pending bytes as the pipe takes.
    fn write_pending(&mut self) -> StreamResult<()> {
        while !self.pending.is_empty() {
            let Some(pipe) = &self.pipe else { break };
            match pipe.try_write(&self.pending) {
                Ok(written) => self.pending.advance(written),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(self.fail(error)),
            }
        }
        Ok(())
    }

    /// Waits until no bytes are pending.
    async fn wait_written(&mut self) -> StreamResult<()> {
        loop {
            self.write_pending()?;
            if self.pending.is_empty() {
                return Ok(());
            }
            if let Err(error) = self.pipe()?.writable().await {
                return Err(self.fail(error));
            }
        }
    }
}

#[async_trait]
impl Pollable for PipeOutput {
    async fn ready(&mut self) {
        if self.failure.is_some() {
            return;
        }
        if let Err(failure) = self.wait_written().await {
            self.failure = Some(failure);
            return;
        }
        let Some(pipe) = &self.pipe else { return };
        while matches!(pipe.room(), Ok(0)) && pipe.writable().await.is_ok() {}
    }
}

#[async_trait]
impl OutputStream for PipeOutput {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.pipe()?;
        if bytes.len() > self.permit {
            return Err(StreamError::trap("more bytes than `check-write` permits"));
        }
        self.permit = 0;
        self.flushing = false;
        self.pending = bytes;
        self.write_pending()
    }

    /// Completes at once as a rule: bytes that were written are in the pipe.
    fn flush(&mut self) -> StreamResult<()> {
        self.pipe()?;
        self.flushing = true;
        self.write_pending()
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        self.permit = 0;
        self.flushing = false;
        self.pipe()?;
        self.write_pending()?;
        if self.pending.is_empty() {
            let room = self.pipe()?.room();
            let room = room.map_err(|error| self.fail(error))?;
            self.permit = room.min(MAX_BYTES);
        }
        Ok(self.permit)
    }

    /// Returns as soon as the bytes are in the pipe. The default implementation
    /// would then wait until the child has read some of them.
    async fn blocking_write_and_flush(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.pipe()?;
        self.permit = 0;
        self.wait_written().await?;
        self.pending = bytes;
        self.wait_written().await
    }

    /// After a flush this waits for the pending bytes only, for the same reason;
    /// the permit may then be zero.
    async fn write_ready(&mut self) -> StreamResult<usize> {
        if self.flushing {
            self.wait_written().await?;
        } else {
            self.ready().await;
        }
        self.check_write()
    }
}

#[cfg(test)]
mod tests;

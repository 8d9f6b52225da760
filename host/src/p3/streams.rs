//! A child's pipes as streams of the component model.
//!
//! A read copies once, from the kernel's pipe into the guest's memory, and only
//! while the guest reads; a write does the same in the other direction. A task
//! with a buffer would be simpler. But it would read ahead, it would lose the
//! bytes of a cancelled read, and a slow guest would not slow the child down.
//!
//! The result of a stream is reported by the future that comes with it, because an
//! error that is returned to wasmtime is a trap.

use std::io;
use std::iter;
use std::pin::Pin;
use std::task::{Context, Poll};

use capspawn_native::{PipeReader, PipeWriter};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::oneshot;
use wasmtime::component::{
    Access, Destination, FutureReader, HasData, Source, StreamConsumer, StreamProducer,
    StreamReader, StreamResult,
};
use wasmtime::{AsContextMut, StoreContextMut};

use super::bindings::types;
use crate::child::require_pipe;
use crate::error::ErrorCode;

/// The size of a read by the host itself, which offers no buffer of its own: 64
/// KiB, the capacity of a pipe.
const HOST_READ_BYTES: usize = 64 * 1024;

/// How a stream ended.
pub(super) type EndResult = Result<(), types::ErrorCode>;

/// A pipe until it is closed, and the sender of its result.
struct OpenPipe<P>(Option<(P, oneshot::Sender<EndResult>)>);

impl<P> OpenPipe<P> {
    fn new(pipe: P) -> (Self, oneshot::Receiver<EndResult>) {
        let (sender, receiver) = oneshot::channel();
        (Self(Some((pipe, sender))), receiver)
    }

    /// Closes the pipe, and then sends the result.
    fn close(&mut self, result: io::Result<()>) {
        if let Some((pipe, sender)) = self.0.take() {
            drop(pipe);
            // Sending fails if the guest has dropped the future.
            let _ = sender.send(result.map_err(|error| ErrorCode::from(error).into()));
        }
    }

    /// Closes the pipe if its stream has ended or failed.
    fn close_at_end(&mut self, result: io::Result<StreamResult>) -> StreamResult {
        match result {
            Ok(StreamResult::Dropped) => self.close(Ok(())),
            Err(error) => self.close(Err(error)),
            Ok(other) => return other,
        }
        StreamResult::Dropped
    }
}

impl<P> Drop for OpenPipe<P> {
    // The guest, or its store, has dropped the other end of the stream.
    fn drop(&mut self) {
        self.close(Ok(()));
    }
}

/// Produces a child's output for the guest.
struct OutputProducer(OpenPipe<PipeReader>);

impl<D> StreamProducer<D> for OutputProducer {
    type Item = u8;
    type Buffer = Option<u8>;

    fn poll_produce<'a>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut store: StoreContextMut<'a, D>,
        destination: Destination<'a, u8, Self::Buffer>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        let Some((pipe, _)) = &mut self.0.0 else {
            return Poll::Ready(Ok(StreamResult::Dropped));
        };
        // Bytes that are read now could be lost: many guests drop a cancelled read.
        if finish {
            return Poll::Ready(Ok(StreamResult::Cancelled));
        }
        let polled = if destination.remaining(store.as_context_mut()) == Some(0) {
            // The guest asks for readiness. The next read finds the end.
            pipe.poll_readable(cx).map_ok(|()| StreamResult::Completed)
        } else {
            let mut destination = destination.as_direct(store, HOST_READ_BYTES);
            let mut buffer = ReadBuf::new(destination.remaining());
            let polled = Pin::new(pipe).poll_read(cx, &mut buffer);
            let read = buffer.filled().len();
            if read > 0 {
                destination.mark_written(read);
            }
            polled.map_ok(|()| match read {
                0 => StreamResult::Dropped,
                _ => StreamResult::Completed,
            })
        };
        polled.map(|result| Ok(self.0.close_at_end(result)))
    }
}

/// Consumes the guest's data for a child's standard input.
struct InputConsumer(OpenPipe<PipeWriter>);

impl<D: 'static> StreamConsumer<D> for InputConsumer {
    type Item = u8;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        store: StoreContextMut<D>,
        source: Source<'_, u8>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        let Some((pipe, _)) = &mut self.0.0 else {
            return Poll::Ready(Ok(StreamResult::Dropped));
        };
        if finish {
            return Poll::Ready(Ok(StreamResult::Cancelled));
        }
        let mut source = source.as_direct(store);
        let bytes = source.remaining();
        let polled = if bytes.is_empty() {
            pipe.poll_writable(cx)
        } else {
            let polled = Pin::new(pipe).poll_write(cx, bytes);
            polled.map_ok(|written| source.mark_read(written))
        };
        polled.map(|result| {
            let result = result.map(|()| StreamResult::Completed);
            Ok(self.0.close_at_end(result))
        })
    }
}

/// Returns a stream of a child's output, and the future of its result. Without a
/// pipe the stream is empty, and the result is the error code.
pub(super) fn read<T: Send + 'static, D: HasData>(
    mut store: Access<'_, T, D>,
    pipe: io::Result<Option<PipeReader>>,
) -> wasmtime::Result<(StreamReader<u8>, FutureReader<EndResult>)> {
    match require_pipe(pipe) {
        Ok(pipe) => {
            let (pipe, result) = OpenPipe::new(pipe);
            let stream = StreamReader::new(&mut store, OutputProducer(pipe))?;
            Ok((stream, FutureReader::new(store, result)?))
        }
        Err(code) => {
            let stream = StreamReader::new(&mut store, iter::empty())?;
            Ok((stream, failed(store, code)?))
        }
    }
}

/// Writes `data` to a child's standard input, and returns the future of the
/// result. Without a pipe `data` is closed, and the result is the error code.
pub(super) fn write<T: Send + 'static, D: HasData>(
    mut store: Access<'_, T, D>,
    pipe: io::Result<Option<PipeWriter>>,
    mut data: StreamReader<u8>,
) -> wasmtime::Result<FutureReader<EndResult>> {
    match require_pipe(pipe) {
        Ok(pipe) => {
            let (pipe, result) = OpenPipe::new(pipe);
            data.pipe(&mut store, InputConsumer(pipe))?;
            FutureReader::new(store, result)
        }
        Err(code) => {
            data.close(&mut store)?;
            failed(store, code)
        }
    }
}

/// Returns a future that is ready with an error code.
fn failed<T: Send + 'static, D: HasData>(
    store: Access<'_, T, D>,
    code: ErrorCode,
) -> wasmtime::Result<FutureReader<EndResult>> {
    FutureReader::new(store, async move { wasmtime::error::Ok(Err(code.into())) })
}

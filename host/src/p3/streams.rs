//! A child's pipes as streams of the component model.
//!
//! A read copies once, from the kernel's pipe into the guest's memory, and only
//! while the guest reads; a write the other way round. A task with a buffer
//! between would be simpler, and would read ahead, lose what a cancelled read
//! had taken, and not let the guest's pace reach the child.
//!
//! What ends a stream is told by the future beside it: an error returned to
//! wasmtime is a trap.

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
use crate::ErrorCode;
use crate::child::taken;

/// The size of a read where the reader is the host itself, which has no buffer
/// of its own to offer: that of a Linux pipe, in bytes.
const HOST_READ_BYTES: usize = 64 * 1024;

type Ended = Result<(), types::ErrorCode>;

/// A pipe while it is open, and who learns how it ended.
struct Open<P>(Option<(P, oneshot::Sender<Ended>)>);

impl<P> Open<P> {
    fn new(pipe: P) -> (Self, oneshot::Receiver<Ended>) {
        let (tell, ended) = oneshot::channel();
        (Self(Some((pipe, tell))), ended)
    }

    /// Closes the pipe, and then tells how it ended.
    fn close(&mut self, result: io::Result<()>) {
        if let Some((pipe, tell)) = self.0.take() {
            drop(pipe);
            // Nobody listens where the guest has dropped the future.
            let _ = tell.send(result.map_err(|error| ErrorCode::from(error).into()));
        }
    }
}

impl<P> Drop for Open<P> {
    /// The guest, or its store, has dropped the other end.
    fn drop(&mut self) {
        self.close(Ok(()));
    }
}

/// Gives a child's output to the guest.
struct Output(Open<PipeReader>);

impl<D> StreamProducer<D> for Output {
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
        // What is taken now might be thrown away: many guests drop a cancelled read.
        if finish {
            return Poll::Ready(Ok(StreamResult::Cancelled));
        }
        let polled = if destination.remaining(store.as_context_mut()) == Some(0) {
            // The guest asks for readiness; the end shows in the read that follows.
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
        polled.map(|result| Ok(self.0.after(result)))
    }
}

/// Gives what the guest writes to a child's standard input.
struct Input(Open<PipeWriter>);

impl<D: 'static> StreamConsumer<D> for Input {
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
        polled.map(|result| Ok(self.0.after(result.map(|()| StreamResult::Completed))))
    }
}

impl<P> Open<P> {
    /// Closes what has ended.
    fn after(&mut self, result: io::Result<StreamResult>) -> StreamResult {
        match result {
            Ok(StreamResult::Dropped) => self.close(Ok(())),
            Err(error) => self.close(Err(error)),
            Ok(other) => return other,
        }
        StreamResult::Dropped
    }
}

/// Returns a stream of what `pipe` holds; an empty one where there is none.
pub(super) fn read<T: Send + 'static, D: HasData>(
    mut store: Access<'_, T, D>,
    pipe: io::Result<Option<PipeReader>>,
) -> wasmtime::Result<(StreamReader<u8>, FutureReader<Ended>)> {
    match taken(pipe).map_err(types::ErrorCode::from) {
        Ok(pipe) => {
            let (output, ended) = Open::new(pipe);
            let stream = StreamReader::new(&mut store, Output(output))?;
            Ok((stream, later(store, ended)?))
        }
        Err(code) => {
            let stream = StreamReader::new(&mut store, iter::empty())?;
            Ok((stream, now(store, code)?))
        }
    }
}

/// Lets `data` flow into `pipe`; closes it where there is none.
pub(super) fn write<T: Send + 'static, D: HasData>(
    mut store: Access<'_, T, D>,
    pipe: io::Result<Option<PipeWriter>>,
    mut data: StreamReader<u8>,
) -> wasmtime::Result<FutureReader<Ended>> {
    match taken(pipe).map_err(types::ErrorCode::from) {
        Ok(pipe) => {
            let (input, ended) = Open::new(pipe);
            data.pipe(&mut store, Input(input))?;
            later(store, ended)
        }
        Err(code) => {
            data.close(&mut store)?;
            now(store, code)
        }
    }
}

/// The ending of an open pipe.
fn later<T: Send + 'static, D: HasData>(
    store: Access<'_, T, D>,
    ended: oneshot::Receiver<Ended>,
) -> wasmtime::Result<FutureReader<Ended>> {
    // An `Open` that is dropped tells before; a lost one is an error, not success.
    FutureReader::new(store, ended)
}

/// The ending of what was not there.
fn now<T: Send + 'static, D: HasData>(
    store: Access<'_, T, D>,
    code: types::ErrorCode,
) -> wasmtime::Result<FutureReader<Ended>> {
    FutureReader::new(store, async move { wasmtime::error::Ok(Err(code)) })
}

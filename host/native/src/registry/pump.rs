//! Moves bytes between the registry and a child's pipes.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;
use rustix::io::Errno;
use rustix::pipe::{SpliceFlags, splice};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::core::Core;
use crate::child::account::Need;
use crate::child::capture::Capture;
use crate::child::pipes::{Input, Rest};
use crate::child::record::Record;
use crate::clock::Clock;
use crate::sandbox::sys::register_fd;

/// Bytes read at once: the size of a pipe.
const READ_BYTES: usize = 64 * 1024;

/// The most that is read before the status is published: twice the capacity of a pipe.
/// Bounds how long a grandchild that keeps writing can delay the status.
const DRAIN_BYTES: u64 = 2 * 64 * 1024;

/// Writes what the host provides of standard input. The descriptor is dropped when
/// all is written, which is the child's end of file.
pub(super) async fn feed(stdin: Option<Input>, clock: &Clock) {
    let Some(input) = stdin else { return };
    let Ok(writer) = register_fd(input.fd, Interest::WRITABLE) else {
        return;
    };
    match input.rest {
        Rest::Bytes(bytes) => feed_bytes(&writer, &bytes).await,
        Rest::File(file) => feed_file(writer, file, clock).await,
    }
}

async fn feed_bytes(writer: &AsyncFd<OwnedFd>, bytes: &Bytes) {
    let mut rest = &bytes[..];
    while !rest.is_empty() {
        let Ok(mut ready) = writer.writable().await else {
            return;
        };
        match ready.try_io(|fd| Ok(rustix::io::write(fd, rest)?)) {
            Ok(Ok(written)) => rest = &rest[written..],
            // The child has closed its end.
            Ok(Err(_)) => return,
            Err(_would_block) => {}
        }
    }
}

/// Moves a file into the pipe, inside the kernel. The disk may be slow, so that a thread that may
/// block does it, for one pipe of bytes at a time: it never waits for the child.
async fn feed_file(writer: AsyncFd<OwnedFd>, file: OwnedFd, clock: &Clock) {
    let (writer, file) = (Arc::new(writer), Arc::new(file));
    loop {
        let Ok(mut ready) = writer.writable().await else {
            return;
        };
        let (to, from) = (Arc::clone(&writer), Arc::clone(&file));
        let _hold = clock.hold();
        let moved = tokio::task::spawn_blocking(move || {
            let flags = SpliceFlags::NONBLOCK | SpliceFlags::MOVE;
            splice(&*from, None, to.get_ref(), None, READ_BYTES, flags)
        });
        match moved.await {
            Ok(Ok(0)) => return,
            Ok(Ok(_)) | Ok(Err(Errno::INTR)) => {}
            Ok(Err(Errno::AGAIN)) => ready.clear_ready(),
            // The child has closed its end, or the disk has failed.
            Ok(Err(_)) | Err(_) => return,
        }
    }
}

/// Reads one stream into its capture.
pub(super) struct Pump<'a> {
    core: &'a Core,
    record: &'a Record,
    pipe: Option<AsyncFd<OwnedFd>>,
    capture: &'a Mutex<Capture>,
    complete: AtomicBool,
    /// The writers were killed: an end of file no longer means that the output is whole.
    truncated: AtomicBool,
}

impl<'a> Pump<'a> {
    pub(super) fn new(
        core: &'a Core,
        record: &'a Record,
        pipe: Option<OwnedFd>,
        capture: fn(&Record) -> &Mutex<Capture>,
    ) -> io::Result<Self> {
        let pipe = pipe
            .map(|fd| register_fd(fd, Interest::READABLE))
            .transpose()?;
        let pump = Self {
            core,
            record,
            complete: AtomicBool::new(false),
            truncated: AtomicBool::new(false),
            capture: capture(record),
            pipe,
        };
        if pump.pipe.is_none() {
            pump.finish();
        }
        Ok(pump)
    }

    fn is_complete(&self) -> bool {
        self.complete.load(Ordering::Relaxed)
    }

    fn finish(&self) {
        self.complete.store(true, Ordering::Relaxed);
        if !self.truncated.load(Ordering::Relaxed) {
            self.capture.lock().finish();
        }
    }

    pub(super) fn mark_truncated(&self) {
        self.truncated.store(true, Ordering::Relaxed);
    }

    /// Reads until the end of the stream.
    pub(super) async fn run(&self) {
        let Some(pipe) = &self.pipe else { return };
        while !self.is_complete() {
            let Ok(mut ready) = pipe.readable().await else {
                return;
            };
            if let Ok(result) = ready.try_io(|fd| self.read(fd.get_ref())) {
                if result.is_err() {
                    return;
                }
                // A child that always has output must not delay the others' events.
                tokio::task::consume_budget().await;
            }
        }
    }

    /// Reads what the pipe holds now, at most [`DRAIN_BYTES`].
    pub(super) fn drain(&self) {
        let Some(pipe) = &self.pipe else { return };
        let mut drained_bytes = 0;
        while !self.is_complete() && drained_bytes < DRAIN_BYTES {
            match self.read(pipe.get_ref()) {
                Ok(read) => drained_bytes += read,
                Err(_) => return,
            }
        }
    }

    /// Reads once; zero is the end of the stream.
    fn read(&self, fd: &OwnedFd) -> io::Result<u64> {
        let mut buffer = self.core.read_buffer();
        buffer.resize(READ_BYTES, 0);
        let read = rustix::io::read(fd, buffer.as_mut_slice())?;
        if read == 0 {
            self.finish();
            return Ok(0);
        }
        let shortfall = self.capture.lock().shortfall(read);
        if shortfall > 0 {
            let lack = Need {
                bytes: shortfall,
                ..Need::default()
            };
            self.core.make_room(self.record.owner(), lack);
        }
        self.capture.lock().append(&buffer[..read]);
        drop(buffer);
        self.record.count_output(read as u64);
        Ok(read as u64)
    }
}

//! Copies between streams, for children with inherited or connected streams.
//!
//! A component has no threads, and the host has no knowledge of the component's own streams. So
//! a link copies from one stream to another whenever this crate waits for something (`wait`).
//! Between two streams of the host the bytes never enter the component's memory.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::sync::Arc;

use crate::bindings::capspawn::process::spawn;
use wasip2::io::poll::{Pollable, poll};
use wasip2::io::streams::{InputStream, OutputStream, StreamError};

/// The most bytes of a file that are read at once.
const FILE_BYTES: u64 = 64 * 1024;

/// Where the bytes of a link come from.
pub(crate) enum Source {
    Stream(InputStream),
    File(File),
}

/// Where they go.
pub(crate) enum Sink {
    Stream(OutputStream),
    File(File),
}

/// A link between two streams.
pub(crate) struct Link {
    from: Source,
    to: Sink,
    /// The child that writes; none if it is not a child.
    writer: Option<u64>,
    /// The child that reads; none if it is not a child.
    reader: Option<u64>,
    /// Keeps the child alive whose pipe was connected.
    connected: Option<Arc<spawn::Child>>,
}

thread_local! {
    static LINKS: RefCell<Vec<Link>> = const { RefCell::new(Vec::new()) };
}

/// Adds a link.
pub(crate) fn add(link: Link) {
    LINKS.with_borrow_mut(|links| links.push(link));
}

/// Copies along each link what can be copied now, and returns a pollable for each that has
/// not ended. They must be dropped before the next call.
pub(crate) fn step_all() -> Vec<Pollable> {
    LINKS.with_borrow_mut(|links| {
        let mut pollables = Vec::new();
        // A link that has ended, at its end or with a failure, is dropped. That closes both of
        // its streams, as the end of a process would.
        links.retain_mut(|link| match link.step() {
            Ok(Some(pollable)) => {
                pollables.push(pollable);
                true
            }
            Ok(None) | Err(_) => false,
        });
        pollables
    })
}

/// Copies all that `child` has written, after its end, and stops writing to it.
pub(crate) fn finish(child: u64) {
    LINKS.with_borrow_mut(|links| links.retain(|link| link.reader != Some(child)));
    loop {
        let pollables = step_all();
        let is_open = |link: &Link| link.writer == Some(child);
        if !LINKS.with_borrow(|links| links.iter().any(is_open)) {
            return;
        }
        // The child has ended, so its streams end soon.
        poll(&pollables.iter().collect::<Vec<_>>());
    }
}

impl Link {
    pub(crate) fn new(from: Source, to: Sink) -> Self {
        Self {
            from,
            to,
            writer: None,
            reader: None,
            connected: None,
        }
    }

    /// The bytes are those that `child` writes.
    pub(crate) fn of_child(mut self, child: u64) -> Self {
        self.writer = Some(child);
        self
    }

    /// The bytes are for `child`.
    pub(crate) fn into_child(mut self, child: u64) -> Self {
        self.reader = Some(child);
        self
    }

    /// Keeps a child alive until the link ends.
    pub(crate) fn keep(mut self, child: Option<Arc<spawn::Child>>) -> Self {
        self.connected = child;
        self
    }

    /// Copies what can be copied now, and returns a pollable for the rest; none at the end.
    fn step(&mut self) -> io::Result<Option<Pollable>> {
        match (&mut self.from, &mut self.to) {
            (Source::Stream(from), Sink::Stream(to)) => Ok(splice(from, to)),
            (Source::File(from), Sink::Stream(to)) => feed(from, to),
            (Source::Stream(from), Sink::File(to)) => store(from, to),
            (Source::File(from), Sink::File(to)) => io::copy(from, to).map(|_| None),
        }
    }
}

fn splice(from: &InputStream, to: &OutputStream) -> Option<Pollable> {
    loop {
        match to.splice(from, u64::MAX) {
            Ok(0) => break,
            Ok(_) => {}
            Err(_) => return None,
        }
    }
    match to.check_write() {
        Ok(0) => Some(to.subscribe()),
        Ok(_) => Some(from.subscribe()),
        Err(_) => None,
    }
}

fn feed(from: &mut File, to: &OutputStream) -> io::Result<Option<Pollable>> {
    loop {
        let room = match to.check_write() {
            Ok(0) => return Ok(Some(to.subscribe())),
            Ok(room) => room.min(FILE_BYTES),
            Err(_) => return Ok(None),
        };
        let mut bytes = Vec::new();
        from.take(room).read_to_end(&mut bytes)?;
        if bytes.is_empty() || to.write(&bytes).is_err() {
            return Ok(None);
        }
    }
}

fn store(from: &InputStream, to: &mut File) -> io::Result<Option<Pollable>> {
    loop {
        match from.read(FILE_BYTES) {
            Ok(bytes) if bytes.is_empty() => return Ok(Some(from.subscribe())),
            Ok(bytes) => to.write_all(&bytes)?,
            Err(StreamError::Closed) => return Ok(None),
            Err(StreamError::LastOperationFailed(error)) => {
                return Err(io::Error::other(error.to_debug_string()));
            }
        }
    }
}

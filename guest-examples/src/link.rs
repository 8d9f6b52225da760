//! Copies bytes from stream to stream, for several pairs at once.
//!
//! One thread serves all pairs and never waits for a single one: a child that
//! blocks because its output is not read would never read its input again.
//! `splice` copies the bytes inside the host; they never enter the component's
//! memory.

use wasip2::io::poll::{Pollable, poll};
use wasip2::io::streams::{InputStream, OutputStream, StreamError};

use crate::spawn::process_error_code;
use crate::types::ErrorCode;

/// A source and the destination of its bytes. Dropping the link closes both.
pub struct Link {
    pub from: InputStream,
    pub to: OutputStream,
}

/// Copies bytes along all links until `last` has ended. A link whose source has
/// ended, or whose destination is closed, is dropped at once.
///
/// # Errors
///
/// The description of any other failure of a stream.
pub fn connect(mut links: Vec<Link>, last: Link) -> Result<(), String> {
    loop {
        // A pollable must be dropped before its stream.
        let mut pollables = Vec::new();
        let mut open = Vec::new();
        for link in links {
            if let Some(pollable) = link.step()? {
                pollables.push(pollable);
                open.push(link);
            }
        }
        links = open;
        match last.step()? {
            Some(pollable) => pollables.push(pollable),
            None => return Ok(()),
        }
        poll(&pollables.iter().collect::<Vec<_>>());
    }
}

impl Link {
    /// Copies what can be copied now, and returns a pollable for the rest; none at
    /// the end.
    fn step(&self) -> Result<Option<Pollable>, String> {
        loop {
            match self.to.splice(&self.from, u64::MAX) {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) => return end_or_failure(&error),
            }
        }
        match self.to.check_write() {
            Ok(0) => Ok(Some(self.to.subscribe())),
            Ok(_) => Ok(Some(self.from.subscribe())),
            Err(error) => end_or_failure(&error),
        }
    }
}

/// Returns none for an end, which includes a child that closed its input.
fn end_or_failure(error: &StreamError) -> Result<Option<Pollable>, String> {
    match error {
        StreamError::Closed => Ok(None),
        StreamError::LastOperationFailed(error) => match process_error_code(error) {
            Some(ErrorCode::BrokenPipe) => Ok(None),
            _ => Err(error.to_debug_string()),
        },
    }
}

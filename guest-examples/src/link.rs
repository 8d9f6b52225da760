//! Bytes from stream to stream, several pairs at once.
//!
//! One thread serves all pairs, and waits for none alone: a child that is stuck
//! because nobody reads its output would never read its input again. `splice`
//! moves the bytes inside the host; they never enter the component's memory.

use wasip2::io::poll::{Pollable, poll};
use wasip2::io::streams::{InputStream, OutputStream, StreamError};

use crate::spawn::process_error_code;
use crate::types::ErrorCode;

/// A source, and where its bytes go. Dropping it closes both.
pub struct Link {
    pub from: InputStream,
    pub to: OutputStream,
}

/// Moves bytes along all links until the last one has ended; a link whose source
/// has ended, or whose sink takes no more, is dropped at once.
///
/// # Errors
///
/// A stream failed otherwise, in the host's words.
pub fn connect(mut links: Vec<Link>, last: Link) -> Result<(), String> {
    loop {
        // A pollable must be dropped before its stream.
        let mut waits = Vec::new();
        let mut going = Vec::new();
        for link in links {
            if let Some(wait) = link.step()? {
                waits.push(wait);
                going.push(link);
            }
        }
        links = going;
        match last.step()? {
            Some(wait) => waits.push(wait),
            None => return Ok(()),
        }
        poll(&waits.iter().collect::<Vec<_>>());
    }
}

impl Link {
    /// Moves what can be moved now, and returns what to wait for; none at the end.
    fn step(&self) -> Result<Option<Pollable>, String> {
        loop {
            match self.to.splice(&self.from, u64::MAX) {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) => return ended(&error),
            }
        }
        match self.to.check_write() {
            Ok(0) => Ok(Some(self.to.subscribe())),
            Ok(_) => Ok(Some(self.from.subscribe())),
            Err(error) => ended(&error),
        }
    }
}

/// Tells an end from a failure: a child that closes its input has had enough.
fn ended(error: &StreamError) -> Result<Option<Pollable>, String> {
    match error {
        StreamError::Closed => Ok(None),
        StreamError::LastOperationFailed(error) => match process_error_code(error) {
            Some(ErrorCode::BrokenPipe) => Ok(None),
            _ => Err(error.to_debug_string()),
        },
    }
}

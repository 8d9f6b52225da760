//! A pair of sockets for the moment in which the host has no descriptor left.
//!
//! To find out whether a session can end takes two descriptors, and ending it gives more back.

use std::io;
use std::os::fd::OwnedFd;

use parking_lot::Mutex;

use super::message::socket_pair;

/// A pair of sockets that is kept.
#[derive(Debug, Default)]
pub(crate) struct ReservedPair(Mutex<Option<(OwnedFd, OwnedFd)>>);

impl ReservedPair {
    /// Makes the pair, if there is none and the host has two descriptors.
    pub(crate) fn fill(&self) {
        let mut kept = self.0.lock();
        if kept.is_none() {
            *kept = socket_pair().ok();
        }
    }

    /// Returns a new pair, or the one that is kept.
    ///
    /// # Errors
    ///
    /// There is neither.
    pub(crate) fn take(&self) -> io::Result<(OwnedFd, OwnedFd)> {
        socket_pair().or_else(|error| self.0.lock().take().ok_or(error))
    }
}

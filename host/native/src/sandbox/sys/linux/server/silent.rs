//! The error of a first server that does not reply.

use std::io;

use rustix::io::Errno;

/// The first server does not reply: it was stopped, or the machine is too busy to run it. Nothing was requested of any
/// server, so the launch can be tried again with others. If those do not reply either, it is a shortage of the host.
#[derive(Debug, thiserror::Error)]
#[error("the process that starts children does not reply")]
pub(crate) struct FirstIsSilent {
    source: io::Error,
}

impl FirstIsSilent {
    /// Returns the error.
    pub(crate) fn error() -> io::Error {
        let source = Errno::AGAIN.into();
        io::Error::new(io::ErrorKind::WouldBlock, Self { source })
    }

    /// Returns whether `error` is this one.
    pub(crate) fn is(error: &io::Error) -> bool {
        error.get_ref().is_some_and(|inner| inner.is::<Self>())
    }

    /// Returns `error`, or this one where a time limit has passed.
    pub(crate) fn instead_of_timeout(error: io::Error) -> io::Error {
        match error.kind() {
            io::ErrorKind::WouldBlock => Self::error(),
            _ => error,
        }
    }
}

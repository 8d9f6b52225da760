//! The end of a child's pipe on its way to another child.
//!
//! The kernel's pipe then connects the two children, and no byte passes through the host. An end
//! that both children held would hide the end of the stream from the reader, and a closed reader
//! from the writer. So an end is given away: clones of a request share it, and the first child
//! that is started with it receives it. Rejected: a copy for each spawn, of which the host's own
//! would keep the pipe open.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use parking_lot::Mutex;
use rustix::fs::OFlags;

/// An open descriptor, whoever it is charged to.
type HostEnd = Arc<dyn AsFd + Send + Sync>;

/// The reading end of a child's standard output or standard error, for another child's standard
/// input: see [`Child::pass_stdout`](crate::Child::pass_stdout). Dropping the last clone closes it,
/// and the writer's next write fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassedReader(pub(crate) PassedEnd);

/// The writing end of a child's standard input, for another child's standard output or standard
/// error: see [`Child::pass_stdin`](crate::Child::pass_stdin). Dropping the last clone closes it,
/// which is the reader's end of file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassedWriter(pub(crate) PassedEnd);

/// An end until a child has received it.
#[derive(Clone)]
pub(crate) struct PassedEnd {
    /// The guest that passed it, by the number of its scope: no other guest may use it.
    guest: u64,
    fd: Arc<Mutex<Option<HostEnd>>>,
}

impl PassedEnd {
    /// Takes the host's end of a pipe, which is non-blocking, for a child of `guest`.
    ///
    /// # Errors
    ///
    /// The flags of the end cannot be changed; it is closed then.
    pub(crate) fn new(guest: u64, fd: HostEnd) -> io::Result<Self> {
        // Programs do not expect a standard stream that does not block.
        let flags = rustix::fs::fcntl_getfl(&*fd)?;
        rustix::fs::fcntl_setfl(&*fd, flags - OFlags::NONBLOCK)?;
        Ok(Self {
            guest,
            fd: Arc::new(Mutex::new(Some(fd))),
        })
    }

    /// The number of the guest that passed it.
    pub(crate) fn guest(&self) -> u64 {
        self.guest
    }

    /// Takes the end out, for one launch; none if a child has it already.
    pub(crate) fn take(&self) -> Option<TakenEnd> {
        let fd = self.fd.lock().take()?;
        Some(TakenEnd {
            of: self.clone(),
            fd: Some(fd),
        })
    }
}

/// The same end, taken or not.
impl PartialEq for PassedEnd {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.fd, &other.fd)
    }
}

impl Eq for PassedEnd {}

impl fmt::Debug for PassedEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PassedEnd")
    }
}

/// An end that a launch uses. Dropping it gives the end back, unless [`TakenEnd::given`] was
/// called: a launch that failed leaves the pipe as it was.
pub(crate) struct TakenEnd {
    of: PassedEnd,
    fd: Option<HostEnd>,
}

impl fmt::Debug for TakenEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TakenEnd")
    }
}

impl TakenEnd {
    /// Returns a copy for the child.
    ///
    /// # Errors
    ///
    /// The host has no descriptor left.
    pub(crate) fn for_child(&self) -> io::Result<OwnedFd> {
        match &self.fd {
            Some(fd) => fd.as_fd().try_clone_to_owned(),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// The child runs: the host closes its own copy.
    pub(crate) fn given(mut self) {
        self.fd = None;
    }
}

impl Drop for TakenEnd {
    fn drop(&mut self) {
        if let Some(fd) = self.fd.take() {
            *self.of.fd.lock() = Some(fd);
        }
    }
}

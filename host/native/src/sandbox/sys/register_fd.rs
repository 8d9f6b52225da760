//! Registers descriptors with the runtime.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// What keeps a descriptor open for as long as it lives itself.
pub(crate) trait Owner: AsRawFd {}

impl Owner for OwnedFd {}
impl Owner for Arc<OwnedFd> {}

/// Watches `fd` for `interest`, on the runtime of the calling context.
#[expect(
    unsafe_code,
    reason = "tokio's registration trusts its caller with the descriptor"
)]
pub(crate) fn register_fd<F: Owner>(fd: F, interest: Interest) -> io::Result<AsyncFd<F>> {
    // SAFETY: the `AsyncFd` owns `fd` or a share of it, and an `OwnedFd` names the
    // same open descriptor from here until the `AsyncFd` drops that.
    let registered = unsafe { AsyncFd::register_with_interest(fd, interest) };
    Ok(registered?)
}

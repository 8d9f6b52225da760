//! Registers descriptors with the runtime.

use std::io;
use std::os::fd::OwnedFd;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Watches `fd` for `interest`, on the runtime of the calling context.
#[expect(
    unsafe_code,
    reason = "tokio's registration trusts its caller with the descriptor"
)]
pub(crate) fn watch(fd: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: the `AsyncFd` owns `fd`, and an `OwnedFd` names the same open
    // descriptor from here until the `AsyncFd` drops it.
    let registered = unsafe { AsyncFd::register_with_interest(fd, interest) };
    Ok(registered?)
}

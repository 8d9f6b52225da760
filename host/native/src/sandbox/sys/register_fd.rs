//! Registers descriptors with the async runtime.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A value that keeps its descriptor open as long as the value lives.
pub(crate) trait KeepsOpen: AsRawFd {}

impl KeepsOpen for OwnedFd {}
impl<F: KeepsOpen> KeepsOpen for Arc<F> {}

/// Registers `fd` for `interest` with the runtime of the calling context. Similar to
/// `epoll_ctl` with `EPOLL_CTL_ADD`.
///
/// # Errors
///
/// The kernel refuses to poll the descriptor, or is short of memory.
///
/// # Panics
///
/// Outside a runtime with I/O enabled.
#[expect(
    unsafe_code,
    reason = "tokio trusts its caller to keep a registered descriptor open"
)]
pub(crate) fn register_fd<F: KeepsOpen>(fd: F, interest: Interest) -> io::Result<AsyncFd<F>> {
    // SAFETY: the `AsyncFd` owns `fd` or a share of it, so the descriptor stays open and keeps
    // its number until the `AsyncFd` is dropped.
    let registered = unsafe { AsyncFd::register_with_interest(fd, interest) };
    Ok(registered?)
}

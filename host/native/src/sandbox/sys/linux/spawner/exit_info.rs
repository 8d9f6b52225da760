//! The exit status of a child that other code of the host has reaped.
//!
//! If the host ignores SIGCHLD, or its other code waits for any child, `waitid(2)` no longer
//! returns the status. Since Linux 6.15 the kernel keeps it in the pidfd.

#![allow(unsafe_code, reason = "rustix lacks the request")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags};

use crate::launch::Exit;
use crate::sandbox::sys::linux::deadline::Deadline;

/// `_IOWR(0xff, 11, struct pidfd_info)`, whose first version has 64 bytes.
const PIDFD_GET_INFO: libc::Ioctl = 0xc040_ff0b_u32 as libc::Ioctl;
/// The field for the exit status: set in a request, and in the reply if the process is reaped.
const INFO_EXIT: u64 = 1 << 3;

/// The kernel's `struct pidfd_info`.
#[repr(C)]
#[derive(Default)]
struct Info {
    mask: u64,
    cgroup: u64,
    /// Process, thread group, parent; four user and four group ids.
    ids: [u32; 11],
    /// The exit status, encoded as by `wait(2)`.
    status: i32,
}

/// How long the kernel may take to release a process that has ended. It takes microseconds, or
/// until the process, which releases itself, gets a processor.
const STORE_TIMEOUT: Duration = Duration::from_secs(1);

/// Returns the exit status of a process that has ended, and that this process does not reap;
/// `None` if the kernel does not keep it.
pub(crate) fn of_reaped(pidfd: BorrowedFd<'_>) -> Option<Exit> {
    let status = match stored_status(pidfd) {
        // The pidfd is readable before the kernel releases the process and stores the status.
        Ok(None) => {
            let mut released = [PollFd::from_borrowed_fd(pidfd, PollFlags::empty())];
            Deadline::after(STORE_TIMEOUT).poll(&mut released).ok()?;
            stored_status(pidfd).ok()??
        }
        status => status.ok()??,
    };
    let signal = status & 0x7f;
    match u8::try_from(signal) {
        Ok(0) => Some(Exit::Code(status >> 8 & 0xff)),
        Ok(signal) => Some(Exit::Signal(signal)),
        Err(_) => None,
    }
}

/// Returns the status that the pidfd has; `None` before the kernel has released the process.
///
/// # Errors
///
/// The kernel does not know the request, or it stores no status and has released the process.
fn stored_status(pidfd: BorrowedFd<'_>) -> io::Result<Option<i32>> {
    let mut info = Info {
        mask: INFO_EXIT,
        ..Info::default()
    };
    // SAFETY: the kernel stores at most the 64 bytes that the request encodes, which `Info` has.
    let result = unsafe { libc::ioctl(pidfd.as_raw_fd(), PIDFD_GET_INFO, &raw mut info) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok((info.mask & INFO_EXIT != 0).then_some(info.status))
}

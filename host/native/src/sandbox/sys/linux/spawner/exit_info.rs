//! The exit status of a child that other code of the host has reaped.
//!
//! If the host ignores SIGCHLD, or its other code waits for any child, `waitid(2)` no longer
//! returns the status. Since Linux 6.15 the kernel keeps it in the pidfd.

#![allow(unsafe_code, reason = "rustix lacks the request")]

use std::os::fd::{AsRawFd, BorrowedFd};

use crate::launch::Exit;

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

/// Returns the exit status of a reaped process; `None` if the kernel does not keep it.
pub(crate) fn of_reaped(pidfd: BorrowedFd<'_>) -> Option<Exit> {
    let mut info = Info {
        mask: INFO_EXIT,
        ..Info::default()
    };
    // SAFETY: the kernel stores at most the 64 bytes that the request encodes, which `Info` has.
    let result = unsafe { libc::ioctl(pidfd.as_raw_fd(), PIDFD_GET_INFO, &raw mut info) };
    if result != 0 || info.mask & INFO_EXIT == 0 {
        return None;
    }
    let signal = info.status & 0x7f;
    match u8::try_from(signal) {
        Ok(0) => Some(Exit::Code(info.status >> 8 & 0xff)),
        Ok(signal) => Some(Exit::Signal(signal)),
        Err(_) => None,
    }
}

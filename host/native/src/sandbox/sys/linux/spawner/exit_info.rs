//! How a child ended that somebody else has reaped.
//!
//! A host that ignores SIGCHLD, or whose other code waits for whatever child has
//! ended, takes the status away from `waitid`. From Linux 6.15 on the kernel keeps
//! it in the pidfd.

#![allow(unsafe_code, reason = "rustix does not have the request")]

use std::os::fd::{AsRawFd, BorrowedFd};

use crate::launch::Exit;

/// `_IOWR(0xff, 11, struct pidfd_info)`, whose first version has 64 bytes.
const PIDFD_GET_INFO: libc::Ioctl = 0xc040_ff0b_u32 as libc::Ioctl;
/// Asked for and, where the process is reaped, answered: how it ended.
const INFO_EXIT: u64 = 1 << 3;

/// The kernel's `struct pidfd_info`.
#[repr(C)]
#[derive(Default)]
struct Info {
    mask: u64,
    cgroup: u64,
    /// Process, thread group, parent; four user and four group ids.
    ids: [u32; 11],
    /// As `wait(2)` has it.
    status: i32,
}

/// Says how the process of `pidfd` ended, which is reaped; none where the kernel does not.
pub(crate) fn recall(pidfd: BorrowedFd<'_>) -> Option<Exit> {
    let mut info = Info {
        mask: INFO_EXIT,
        ..Info::default()
    };
    // SAFETY: the request writes no more than the 64 bytes that its number names, which `Info` has.
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

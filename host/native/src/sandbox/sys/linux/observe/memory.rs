//! What the observer reads of a caller: its memory and its descriptors.
//!
//! The caller waits meanwhile, but its other threads do not: what is read here may be something else by the time
//! the kernel reads it.

#![allow(unsafe_code, reason = "rustix does not have this call")]

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

/// `PATH_MAX`, with the NUL.
const MAX_PATH: usize = 4096;
const PAGE: u64 = 4096;
const AT_FDCWD: i32 = -100;

/// Reads at most `room.len()` bytes at `address` of `task`, and returns how many there are.
pub(super) fn read(task: u32, address: u64, room: &mut [u8]) -> io::Result<usize> {
    let task = libc::pid_t::try_from(task).map_err(|_| io::ErrorKind::InvalidInput)?;
    let local = libc::iovec {
        iov_base: room.as_mut_ptr().cast(),
        iov_len: room.len(),
    };
    let address = usize::try_from(address).map_err(|_| io::ErrorKind::InvalidInput)?;
    let remote = libc::iovec {
        iov_base: std::ptr::without_provenance_mut(address),
        iov_len: room.len(),
    };
    // SAFETY: the kernel stores at most `room.len()` bytes in `room`; the other address is the caller's, which the kernel
    // checks.
    let count =
        unsafe { libc::process_vm_readv(task, &raw const local, 1, &raw const remote, 1, 0) };
    usize::try_from(count).map_err(|_| io::Error::last_os_error())
}

/// Reads the path at `address` of `task`; none if it cannot be read, or is too long for the kernel.
pub(super) fn path(task: u32, address: u64) -> Option<PathBuf> {
    let mut bytes = Vec::with_capacity(256);
    let mut at = address;
    while bytes.len() < MAX_PATH {
        // Up to the end of the page: the next one may not be mapped.
        let room = usize::try_from(PAGE - at % PAGE).ok()?.min(MAX_PATH);
        let start = bytes.len();
        bytes.resize(start + room, 0);
        let count = read(task, at, bytes.get_mut(start..)?).ok()?;
        bytes.truncate(start + count);
        if let Some(end) = bytes.iter().skip(start).position(|byte| *byte == 0) {
            bytes.truncate(start + end);
            return Some(OsString::from_vec(bytes).into());
        }
        if count < room {
            return None;
        }
        at = at.checked_add(count as u64)?;
    }
    None
}

/// Returns the directory of `task` from which a path leads that is relative to the descriptor `dir`, as the child sees it.
pub(super) fn directory(task: u32, dir: i32) -> Option<PathBuf> {
    let link = match dir {
        AT_FDCWD => format!("/proc/{task}/cwd"),
        dir => format!("/proc/{task}/fd/{dir}"),
    };
    fs::read_link(link).ok().filter(|path| path.is_absolute())
}

/// Whether `task` has a descriptor of this number.
pub(super) fn has_descriptor(task: u32, number: u64) -> bool {
    Path::new(&format!("/proc/{task}/fd/{number}"))
        .symlink_metadata()
        .is_ok()
}

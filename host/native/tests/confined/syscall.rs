//! Raw system calls, as an attacker makes them.

#![allow(unsafe_code, reason = "raw system calls")]

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// `AT_FDCWD` as an argument of [`call`].
pub(crate) const CWD: usize = bits(libc::AT_FDCWD);

/// Makes the system call `number`.
///
/// The kernel checks every address that it gets, so that a bad one is an error
/// and no more. A call that writes gets the address of memory that is kept for
/// it, such as [`Buffer`].
pub(crate) fn call(number: libc::c_long, args: [usize; 6]) -> io::Result<usize> {
    let [a, b, c, d, e, f] = args;
    // SAFETY: no caller passes the address of memory that Rust believes to be constant to a call that writes.
    let result = unsafe { libc::syscall(number, a, b, c, d, e, f) };
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}

/// The descriptor that a system call has just returned.
pub(crate) fn owned(fd: usize) -> OwnedFd {
    let fd = i32::try_from(fd).expect("descriptors are small numbers");
    // SAFETY: the call has made the descriptor, and nothing else owns it.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// A descriptor as an argument of [`call`].
pub(crate) fn raw(fd: &OwnedFd) -> usize {
    bits(fd.as_raw_fd())
}

/// An `int` as an argument of [`call`].
pub(crate) const fn bits(value: i32) -> usize {
    value.cast_unsigned() as usize
}

/// A path or name for [`call`], which takes its address.
pub(crate) fn c_string(text: &str) -> CString {
    CString::new(text).expect("the text has no NUL")
}

/// Memory that a call may read and write: larger than any structure that these
/// tests pass.
pub(crate) struct Buffer([u64; 32]);

impl Buffer {
    /// Memory of zeros.
    pub(crate) fn new() -> Self {
        Self([0; 32])
    }

    pub(crate) fn address(&mut self) -> usize {
        self.0.as_mut_ptr().addr()
    }

    /// The first eight bytes, as a number.
    pub(crate) fn first(&self) -> u64 {
        let [first, ..] = self.0;
        first
    }
}

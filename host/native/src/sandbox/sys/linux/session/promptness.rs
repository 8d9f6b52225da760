//! How soon a thread runs after it was woken.
//!
//! A child that computes keeps its processor for some milliseconds while a thread of the same
//! weight waits for it. A thread that requests a short slice is run first (Linux 6.12 and newer;
//! older kernels ignore the request). Its share of the processor stays the same. Rejected: a lower
//! nice value or a real-time policy, which only a privileged host may choose.

#![allow(unsafe_code, reason = "the calls have no safe form")]

use std::mem::size_of;

/// The slice, in nanoseconds; the kernel allows no shorter one.
const SLICE: u64 = 100_000;

/// Requests a short slice for the calling thread, unless the host has chosen a policy of its own
/// for it. A refusal leaves the thread slower.
pub(super) fn request_short_slice() {
    // SAFETY: all its fields are numbers, for which zero is a value.
    let mut attributes: libc::sched_attr = unsafe { std::mem::zeroed() };
    let size = size_of::<libc::sched_attr>();
    let (itself, no_flags) = (0, 0);
    // SAFETY: the kernel writes at most `size` bytes to a structure of that size.
    let read = unsafe {
        libc::syscall(
            libc::SYS_sched_getattr,
            itself,
            &raw mut attributes,
            size,
            no_flags,
        )
    };
    if read != 0 || attributes.sched_policy != libc::SCHED_OTHER.unsigned_abs() {
        return;
    }
    attributes.sched_runtime = SLICE;
    // SAFETY: the kernel reads the structure, whose size is in it.
    unsafe {
        libc::syscall(
            libc::SYS_sched_setattr,
            itself,
            &raw const attributes,
            no_flags,
        )
    };
}

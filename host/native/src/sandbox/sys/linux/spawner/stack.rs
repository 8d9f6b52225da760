//! The stack on which a vfork child runs.

#![allow(unsafe_code, reason = "maps memory")]

use std::io;
use std::ptr::NonNull;

/// The usable bytes. The child calls a few functions, none of them with more than some 100 bytes of variables.
pub(crate) const STACK_BYTES: usize = 64 * 1024;
/// One page below, without access: a stack that overflows kills the child.
const GUARD_BYTES: usize = 4096;

/// A mapped stack above a guard page.
pub(crate) struct Stack(NonNull<libc::c_void>);

// SAFETY: the mapping belongs to this value alone and is bound to no thread.
unsafe impl Send for Stack {}

impl Stack {
    /// Maps a stack.
    pub(crate) fn new() -> io::Result<Self> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_STACK;
        let size = GUARD_BYTES + STACK_BYTES;
        let base = std::ptr::null_mut();
        // SAFETY: the kernel chooses the address of the new mapping, so that it replaces nothing.
        let base = unsafe { libc::mmap(base, size, libc::PROT_NONE, flags, -1, 0) };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let stack = Self(NonNull::new(base).ok_or(io::ErrorKind::OutOfMemory)?);
        let usable = base.wrapping_byte_add(GUARD_BYTES);
        // SAFETY: the range lies within the mapping made above, which nothing else uses.
        match unsafe { libc::mprotect(usable, STACK_BYTES, libc::PROT_READ | libc::PROT_WRITE) } {
            0 => Ok(stack),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Returns the lowest usable address.
    pub(crate) fn bottom(&self) -> usize {
        self.0.as_ptr().expose_provenance() + GUARD_BYTES
    }

    /// Returns the address above the highest usable byte.
    pub(crate) fn top(&self) -> usize {
        self.bottom() + STACK_BYTES
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // SAFETY: `new` has made the mapping. No child runs on it any more: a clone returns when its child executes.
        let _ = unsafe { libc::munmap(self.0.as_ptr(), GUARD_BYTES + STACK_BYTES) };
    }
}

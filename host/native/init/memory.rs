//! The functions that the compiler calls by itself for large values and comparisons; no
//! library is linked that would have them.

/// Fills `count` bytes at `to` with `value`.
///
/// # Safety
///
/// They must be writable.
#[unsafe(no_mangle)]
unsafe extern "C" fn memset(to: *mut u8, value: i32, count: usize) -> *mut u8 {
    // SAFETY: the caller vouches for the bytes; the direction flag is clear by the calling convention.
    unsafe {
        core::arch::asm!(
            "rep stosb",
            inout("rdi") to => _, inout("rcx") count => _, in("al") value as u8,
            options(nostack, preserves_flags),
        );
    }
    to
}

/// Copies `count` bytes from `from` to `to`, which do not overlap.
///
/// # Safety
///
/// They must be readable and writable.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, count: usize) -> *mut u8 {
    // SAFETY: the caller vouches for the bytes; the direction flag is clear by the calling convention.
    unsafe {
        core::arch::asm!(
            "rep movsb",
            inout("rdi") to => _, inout("rsi") from => _, inout("rcx") count => _,
            options(nostack, preserves_flags),
        );
    }
    to
}

/// Compares `count` bytes.
///
/// # Safety
///
/// They must be readable.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcmp(left: *const u8, right: *const u8, count: usize) -> i32 {
    let mut at = 0;
    while at < count {
        // SAFETY: the caller vouches for the bytes.
        let a = unsafe { core::ptr::read_volatile(left.wrapping_add(at)) };
        // SAFETY: the caller vouches for the bytes.
        let b = unsafe { core::ptr::read_volatile(right.wrapping_add(at)) };
        if a != b {
            return i32::from(a) - i32::from(b);
        }
        at += 1;
    }
    0
}

/// Tells whether `count` bytes differ.
///
/// # Safety
///
/// They must be readable.
#[unsafe(no_mangle)]
unsafe extern "C" fn bcmp(left: *const u8, right: *const u8, count: usize) -> i32 {
    // SAFETY: passed on to the caller.
    unsafe { memcmp(left, right, count) }
}

//! The functions that the compiler calls for large values and comparisons. No library that
//! has them is linked. The processor's string instructions keep them short.

/// Fills `count` bytes at `to` with `value`.
///
/// # Safety
///
/// The bytes must be writable.
#[unsafe(no_mangle)]
unsafe extern "C" fn memset(to: *mut u8, value: i32, count: usize) -> *mut u8 {
    // SAFETY: the caller vouches for the bytes. The calling convention clears the direction flag.
    unsafe {
        core::arch::asm!(
            "rep stosb",
            inout("rdi") to => _, inout("rcx") count => _, in("al") value as u8,
            options(nostack, preserves_flags),
        );
    }
    to
}

/// Copies `count` bytes from `from` to `to`.
///
/// # Safety
///
/// The bytes at `from` must be readable, those at `to` writable, and the two must not overlap.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, count: usize) -> *mut u8 {
    // SAFETY: the caller vouches for the bytes. The calling convention clears the direction flag.
    unsafe {
        core::arch::asm!(
            "rep movsb",
            inout("rdi") to => _, inout("rsi") from => _, inout("rcx") count => _,
            options(nostack, preserves_flags),
        );
    }
    to
}

/// Compares `count` bytes: negative if the first that differ are less on the left.
///
/// # Safety
///
/// The bytes on both sides must be readable.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcmp(left: *const u8, right: *const u8, count: usize) -> i32 {
    let mut at = 0;
    // Volatile: the compiler would turn a plain loop into a call of this function.
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

/// Compares `count` bytes: 0 if all are equal.
///
/// # Safety
///
/// As for [`memcmp`].
#[unsafe(no_mangle)]
unsafe extern "C" fn bcmp(left: *const u8, right: *const u8, count: usize) -> i32 {
    // SAFETY: the caller keeps the contract of `memcmp`.
    unsafe { memcmp(left, right, count) }
}

//! System calls without a C library.
//!
//! `libc::syscall` writes `errno`, which is thread-local: a vfork child would write the
//! host's, and `capspawn-init` has no thread-local storage. So the instruction is here. Rejected: a
//! crate of raw system calls, which the build script could not compile with `rustc` alone.

pub mod number;

/// Makes the system call `number` and returns what the kernel returns: the result, or a
/// negative error number.
///
/// # Safety
///
/// The arguments must be valid for the call: each pointer among them must point to memory
/// that the kernel may read or write as the call does, and its provenance must be exposed.
/// The effects of the call must be sound for the calling process.
#[inline(always)]
pub unsafe fn syscall(number: usize, args: [usize; 6]) -> isize {
    let result: isize;
    let [a, b, c, d, e, f] = args;
    // SAFETY: the instruction changes rax, rcx and r11 alone, and all three are declared. The caller vouches for what
    // the kernel does with the arguments.
    unsafe {
        core::arch::asm!(
            "syscall",
            inlateout("rax") number => result,
            in("rdi") a,
            in("rsi") b,
            in("rdx") c,
            in("r10") d,
            in("r8") e,
            in("r9") f,
            out("rcx") _,
            out("r11") _,
            options(nostack),
        );
    }
    result
}

/// Makes the system call `number` and returns its result.
///
/// # Errors
///
/// The error number, as `errno(3)`.
///
/// # Safety
///
/// As for [`syscall`].
#[inline(always)]
#[allow(
    clippy::cast_possible_truncation,
    reason = "an error number has 12 bits"
)]
pub unsafe fn call(number: usize, args: [usize; 6]) -> Result<usize, i32> {
    // SAFETY: the caller keeps the contract of `syscall`.
    let result = unsafe { syscall(number, args) };
    match result {
        // The kernel's error numbers lie between 1 and 4095.
        -4095..=-1 => Err((result as i32).wrapping_neg()),
        _ => Ok(result.cast_unsigned()),
    }
}

/// Ends the process with the exit status `code`, as `_exit(2)`.
pub fn exit(code: usize) -> ! {
    loop {
        // SAFETY: the call takes no pointer. It ends the calling process and returns never.
        let _ = unsafe { syscall(number::EXIT_GROUP, [code, 0, 0, 0, 0, 0]) };
    }
}

/// A descriptor as an argument of a call. The kernel reads its low 32 bits.
#[inline(always)]
pub fn descriptor(fd: i32) -> usize {
    fd.cast_unsigned() as usize
}

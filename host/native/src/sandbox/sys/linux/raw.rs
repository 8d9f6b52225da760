//! System calls without a C library, for code that may not touch one.
//!
//! Two places need them: the child of a vfork, which shares the host's memory
//! and its thread-local `errno`, and the helper, which is linked with nothing.
//! `libc::syscall` writes `errno`, so that it serves neither. The file uses
//! `core` alone and is part of the crate and of the helper both.

/// The numbers of the calls that the child and the helper make.
#[cfg(target_arch = "x86_64")]
pub(crate) mod number {
    pub(crate) const READ: usize = 0;
    pub(crate) const WRITE: usize = 1;
    pub(crate) const CLOSE: usize = 3;
    pub(crate) const FSTAT: usize = 5;
    pub(crate) const MMAP: usize = 9;
    pub(crate) const MPROTECT: usize = 10;
    pub(crate) const MUNMAP: usize = 11;
    pub(crate) const RT_SIGACTION: usize = 13;
    pub(crate) const RT_SIGPROCMASK: usize = 14;
    pub(crate) const IOCTL: usize = 16;
    pub(crate) const PREAD64: usize = 17;
    pub(crate) const GETPID: usize = 39;
    pub(crate) const SOCKET: usize = 41;
    pub(crate) const SENDTO: usize = 44;
    pub(crate) const SENDMSG: usize = 46;
    pub(crate) const RECVMSG: usize = 47;
    pub(crate) const SOCKETPAIR: usize = 53;
    pub(crate) const CLONE: usize = 56;
    pub(crate) const KILL: usize = 62;
    pub(crate) const FCNTL: usize = 72;
    pub(crate) const CHDIR: usize = 80;
    pub(crate) const FCHDIR: usize = 81;
    pub(crate) const UMASK: usize = 95;
    pub(crate) const SETPGID: usize = 109;
    pub(crate) const SETSID: usize = 112;
    pub(crate) const SETGROUPS: usize = 116;
    pub(crate) const SETRESUID: usize = 117;
    pub(crate) const SETRESGID: usize = 119;
    pub(crate) const GETPGID: usize = 121;
    pub(crate) const GETSID: usize = 124;
    pub(crate) const CAPGET: usize = 125;
    pub(crate) const CAPSET: usize = 126;
    pub(crate) const SCHED_SETSCHEDULER: usize = 144;
    pub(crate) const SCHED_GETSCHEDULER: usize = 145;
    pub(crate) const PIVOT_ROOT: usize = 155;
    pub(crate) const PRCTL: usize = 157;
    pub(crate) const UMOUNT2: usize = 166;
    pub(crate) const SETHOSTNAME: usize = 170;
    pub(crate) const SCHED_SETAFFINITY: usize = 203;
    pub(crate) const SCHED_GETAFFINITY: usize = 204;
    pub(crate) const EXIT_GROUP: usize = 231;
    pub(crate) const WAITID: usize = 247;
    pub(crate) const OPENAT: usize = 257;
    pub(crate) const MKDIRAT: usize = 258;
    pub(crate) const MKNODAT: usize = 259;
    pub(crate) const UNLINKAT: usize = 263;
    pub(crate) const SYMLINKAT: usize = 266;
    pub(crate) const UNSHARE: usize = 272;
    pub(crate) const DUP3: usize = 292;
    pub(crate) const PRLIMIT64: usize = 302;
    pub(crate) const SETNS: usize = 308;
    pub(crate) const GETCPU: usize = 309;
    pub(crate) const SECCOMP: usize = 317;
    pub(crate) const MEMFD_CREATE: usize = 319;
    pub(crate) const EXECVEAT: usize = 322;
    pub(crate) const OPEN_TREE: usize = 428;
    pub(crate) const MOVE_MOUNT: usize = 429;
    pub(crate) const FSOPEN: usize = 430;
    pub(crate) const FSCONFIG: usize = 431;
    pub(crate) const FSMOUNT: usize = 432;
    pub(crate) const CLOSE_RANGE: usize = 436;
    pub(crate) const OPENAT2: usize = 437;
    pub(crate) const MOUNT_SETATTR: usize = 442;
    pub(crate) const LANDLOCK_CREATE_RULESET: usize = 444;
    pub(crate) const LANDLOCK_ADD_RULE: usize = 445;
    pub(crate) const LANDLOCK_RESTRICT_SELF: usize = 446;
}

/// Makes the system call `number` and returns what the kernel returns: a
/// negative error number, or the result.
///
/// # Safety
///
/// As the call itself demands; every pointer among `args` must be valid for it.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(crate) unsafe fn syscall(number: usize, args: [usize; 6]) -> isize {
    let result: isize;
    let [a, b, c, d, e, f] = args;
    // SAFETY: the instruction changes rax, rcx and r11 alone, which are declared; what the kernel reads and writes
    // in memory is the caller's promise.
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

/// Makes the system call `number` and returns its result or its error number.
///
/// # Safety
///
/// As for [`syscall`].
#[inline(always)]
#[allow(
    clippy::cast_possible_truncation,
    reason = "an error number has 12 bits"
)]
pub(crate) unsafe fn call(number: usize, args: [usize; 6]) -> Result<usize, i32> {
    // SAFETY: passed on to the caller.
    let result = unsafe { syscall(number, args) };
    match result {
        // The kernel's error numbers lie between 1 and 4095.
        -4095..=-1 => Err((result as i32).wrapping_neg()),
        _ => Ok(result.cast_unsigned()),
    }
}

/// Ends the process.
pub(crate) fn exit(code: usize) -> ! {
    loop {
        // SAFETY: ends every thread of the caller's thread group and touches no memory.
        let _ = unsafe { syscall(number::EXIT_GROUP, [code, 0, 0, 0, 0, 0]) };
    }
}

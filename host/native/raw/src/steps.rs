//! The steps that confine the calling process, one function each.
//!
//! Whoever calls them gives up rights, in an order that the kernel dictates:
//! Landlock and seccomp need `no_new_privs`, the filter comes last because it
//! denies what earlier steps call. The vfork child and the helper take the same
//! steps, so the file uses `core` alone and is part of both. Nothing here
//! allocates, locks, panics or drops: in the vfork child a panic would unwind
//! into a stack that the host is about to use again.

use crate::syscall::{call, number};

/// A step of the child, as it is reported to the host.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Step {
    Signals = 1,
    Session = 2,
    Stdio = 3,
    Descriptors = 4,
    WorkingDirectory = 5,
    Limits = 6,
    Identity = 7,
    NoNewPrivileges = 8,
    Capabilities = 9,
    Landlock = 10,
    Seccomp = 11,
    Exec = 12,
    Watch = 13,
    Namespaces = 14,
    Root = 15,
    Request = 16,
}

/// A step and the error number it ended with.
pub type Failure = (Step, i32);

/// A step that is made to fail, for the tests; step 0 is none.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Fault {
    pub step: u32,
    pub errno: i32,
}

impl Fault {
    /// Takes `step` through `action`, or fails as arranged.
    #[inline(always)]
    pub fn guard<T>(
        self,
        step: Step,
        action: impl FnOnce() -> Result<T, i32>,
    ) -> Result<T, Failure> {
        if self.step == step as u32 {
            return Err((step, self.errno));
        }
        action().map_err(|errno| (step, errno))
    }
}

/// A classic BPF instruction, as `struct sock_filter`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Instruction {
    pub code: u16,
    pub jt: u8,
    pub jf: u8,
    pub k: u32,
}

/// A program of such instructions, as `struct sock_fprog`.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct FilterProgram {
    pub len: u16,
    pub code: *const Instruction,
}

impl FilterProgram {
    /// No program.
    pub const NONE: Self = Self {
        len: 0,
        code: core::ptr::null(),
    };
}

/// What `confine` installs.
#[derive(Clone, Copy)]
pub struct Confine {
    /// Whether the caller may and should lock its securebits.
    pub lock_securebits: bool,
    /// A Landlock ruleset, or -1.
    pub ruleset: i32,
    /// A seccomp program; a length of 0 is none.
    pub filter: FilterProgram,
}

const PR_SET_SECUREBITS: usize = 28;
const PR_SET_NO_NEW_PRIVS: usize = 38;
/// NOROOT and NO_CAP_AMBIENT_RAISE set, NO_SETUID_FIXUP and KEEP_CAPS not, all four locked.
const SECUREBITS: usize = 0b1110_1011;
const CLOSE_RANGE_CLOEXEC: usize = 4;
const SECCOMP_SET_MODE_FILTER: usize = 1;
const CAPABILITY_VERSION_3: u32 = 0x2008_0522;
const AT_EMPTY_PATH: usize = 0x1000;
const SIG_SETMASK: usize = 2;
const SIGKILL: usize = 9;
const SIGSTOP: usize = 19;

/// Sets every signal to its default, ignored ones included: `CLONE_CLEAR_SIGHAND`
/// leaves those, and a program that starts with SIGPIPE ignored misbehaves.
pub fn reset_signals() -> Result<(), i32> {
    let default = [0usize; 4];
    for signal in 1..=64 {
        if signal != SIGKILL && signal != SIGSTOP {
            // SAFETY: `default` is a zeroed kernel sigaction, read only; the handlers are the caller's own copy, since
            // nobody clones with CLONE_SIGHAND here.
            unsafe {
                call(
                    number::RT_SIGACTION,
                    [signal, (&raw const default).addr(), 0, 8, 0, 0],
                )?
            };
        }
    }
    unblock_signals()
}

/// Blocks no signal.
pub fn unblock_signals() -> Result<(), i32> {
    let none = 0u64;
    let mask = (&raw const none).addr();
    // SAFETY: `none` is a signal set of 8 bytes, read only.
    unsafe { call(number::RT_SIGPROCMASK, [SIG_SETMASK, mask, 0, 8, 0, 0])? };
    Ok(())
}

/// Marks every descriptor from 3 on close-on-exec.
pub fn close_on_exec() -> Result<(), i32> {
    let args = [3, u32::MAX as usize, CLOSE_RANGE_CLOEXEC, 0, 0, 0];
    // SAFETY: takes no pointer; the descriptor table is the caller's own.
    unsafe { call(number::CLOSE_RANGE, args)? };
    Ok(())
}

/// Sets no_new_privs.
pub fn no_new_privileges() -> Result<(), i32> {
    // SAFETY: takes no pointer; the flag is per task.
    unsafe { call(number::PRCTL, [PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0])? };
    Ok(())
}

/// Makes user id 0 worth nothing and locks that.
pub fn lock_securebits() -> Result<(), i32> {
    // SAFETY: takes no pointer; the bits are per task.
    unsafe { call(number::PRCTL, [PR_SET_SECUREBITS, SECUREBITS, 0, 0, 0, 0])? };
    Ok(())
}

/// Drops every capability.
pub fn drop_capabilities() -> Result<(), i32> {
    let header = [CAPABILITY_VERSION_3, 0];
    let none = [0u32; 6];
    let args = [
        (&raw const header).addr(),
        (&raw const none).addr(),
        0,
        0,
        0,
        0,
    ];
    // SAFETY: a version 3 header and two sets of three words, as that version demands; read only.
    unsafe { call(number::CAPSET, args)? };
    Ok(())
}

/// Takes the steps from no_new_privs to the filter.
pub fn confine(confine: &Confine, fault: Fault) -> Result<(), Failure> {
    fault.guard(Step::NoNewPrivileges, no_new_privileges)?;
    fault.guard(Step::Capabilities, || {
        if confine.lock_securebits {
            lock_securebits()?;
        }
        drop_capabilities()
    })?;
    fault.guard(Step::Landlock, || match usize::try_from(confine.ruleset) {
        // SAFETY: takes no pointer; the domain is per task.
        Ok(fd) => unsafe { call(number::LANDLOCK_RESTRICT_SELF, [fd, 0, 0, 0, 0, 0]) }.map(drop),
        Err(_) => Ok(()),
    })?;
    fault.guard(Step::Seccomp, || {
        if confine.filter.len == 0 {
            return Ok(());
        }
        let program = (&raw const confine.filter).addr();
        let args = [SECCOMP_SET_MODE_FILTER, 0, program, 0, 0, 0];
        // SAFETY: the program points to as many instructions as it says, by `Confine`'s contract; read only.
        unsafe { call(number::SECCOMP, args) }.map(drop)
    })
}

/// Executes the open file `program`; returns only the error number.
///
/// # Safety
///
/// `argv` and `envp` must be arrays of C strings, each ended by a null pointer.
pub unsafe fn execute(program: i32, argv: usize, envp: usize) -> i32 {
    let Ok(program) = usize::try_from(program) else {
        return 9;
    };
    let args = [program, c"".as_ptr().addr(), argv, envp, AT_EMPTY_PATH, 0];
    // SAFETY: the caller vouches for both arrays; the path is an empty C string.
    match unsafe { call(number::EXECVEAT, args) } {
        Ok(_) => 0,
        Err(errno) => errno,
    }
}

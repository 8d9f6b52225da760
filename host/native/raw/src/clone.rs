//! The one system call that returns twice.
//!
//! With `CLONE_VM` the child must not return from the function that made it: it would pop
//! the parent's stack frames. So the call is made in one block of assembly, in which the
//! child, on a stack of its own, calls `child::main`. The host's launcher and the server of a
//! session both clone this way.

use crate::child::{self, ChildArgs};

/// The kernel's `struct clone_args`, as of its version with a cgroup. A kernel that knows fewer
/// fields accepts the others if they are zero.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct CloneArgs {
    /// The `CLONE_` flags.
    pub flags: u64,
    /// Where the kernel stores the pidfd.
    pub pidfd: u64,
    /// Not used.
    pub child_tid: u64,
    /// Not used.
    pub parent_tid: u64,
    /// The signal at the child's end.
    pub exit_signal: u64,
    /// The lower end of the child's stack.
    pub stack: u64,
    /// The bytes of the stack.
    pub stack_size: u64,
    /// Not used.
    pub tls: u64,
    /// Not used.
    pub set_tid: u64,
    /// Not used.
    pub set_tid_size: u64,
    /// The descriptor of the directory of the child's cgroup, with [`CLONE_INTO_CGROUP`].
    pub cgroup: u64,
}

/// The flag of `clone3(2)` by which the child starts in [`CloneArgs::cgroup`].
pub const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// Makes the system call `number`, `clone` or `clone3`. The child runs
/// `child::main` with `child_args`; the parent gets the child's pid or a negative error number.
///
/// The fifth and the sixth argument of the call carry [`ChildArgs::filter_pass`]: without
/// `CLONE_SETTLS` the kernel reads neither.
///
/// # Safety
///
/// `number` must be `clone` or `clone3`, and `args` its first four arguments. They must ask
/// for `CLONE_VM` and `CLONE_VFORK`, not for `CLONE_SETTLS` or `CLONE_SIGHAND`, and name a
/// stack for the child that nothing else uses until the call has returned. Every pointer
/// among them must be valid for the call. No signal handler of the caller may run in the
/// child.
pub unsafe fn trampoline(number: isize, args: [usize; 4], child_args: &ChildArgs<'_>) -> isize {
    let result: isize;
    let [a, b, c, d] = args;
    let [first, second] = child_args.filter_pass;
    // SAFETY: in the parent the instruction changes rax, rcx and r11 alone. The child has rsp at the top of its own
    // stack, which is 16-aligned as `call` needs it, and never returns past `call`: it shares no frame with the parent.
    // The parent is suspended meanwhile, so that `child_args` stays valid. The block counts as one that changes memory,
    // which covers what the child stores in `child_args` and what the kernel stores through `args`.
    unsafe {
        core::arch::asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, r12",
            "call r13",
            "ud2",
            "2:",
            inlateout("rax") number => result,
            in("rdi") a,
            in("rsi") b,
            in("rdx") c,
            in("r10") d,
            in("r8") first,
            in("r9") second,
            in("r12") core::ptr::from_ref(child_args),
            in("r13") child::main as unsafe extern "C" fn(*const ChildArgs<'_>) -> !,
            out("rcx") _,
            out("r11") _,
        );
    }
    result
}

//! The one instruction that returns twice.
//!
//! With `CLONE_VM` the child may not return from the function that cloned it:
//! it would pop the parent's frames. So the call is made here, and the child
//! goes on in [`main`] on a stack of its own. The host's launcher and the
//! session's helper clone alike; the file uses `core` alone.

use crate::child::{Prepared, main};

/// Makes the clone call; in the child, on the new stack, calls [`main`].
pub fn trampoline(number: isize, args: [usize; 4], prepared: &Prepared) -> isize {
    let result: isize;
    let [a, b, c, d] = args;
    // Of clone's arguments the one is looked at with CLONE_SETTLS alone, and there is no other.
    let [first, second] = prepared.key;
    // SAFETY: in the parent the instruction changes rax, rcx and r11 alone. The child has rsp at the top of its own
    // stack, which is 16-aligned as `call` needs it, and never returns past `call`: it shares no frame with the parent.
    // Memory counts as changed by the block, which covers what the child writes to `prepared` and the kernel to `pidfd`.
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
            in("r12") core::ptr::from_ref(prepared),
            in("r13") main as extern "C" fn(*const Prepared) -> !,
            out("rcx") _,
            out("r11") _,
        );
    }
    result
}

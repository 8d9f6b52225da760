//! `capspawn-init`: becomes an unprivileged user, confines itself and executes
//! a program; or probes what its confinement really denies; or watches over the
//! children of a host that may be killed; or is a session's server and its pid 1.
//!
//! No standard library, no allocation, static, started from a memfd. Its orders
//! are eleven hexadecimal words in `argv[0]`; the other arguments and the
//! environment belong to the program. A failure goes to the status pipe as step
//! and error number; the pipe is closed by the exec that succeeds.

#![no_std]
#![no_main]
#![warn(
    missing_docs,
    unreachable_pub,
    clippy::undocumented_unsafe_blocks,
    clippy::multiple_unsafe_ops_per_block
)]

mod memory;
mod probe;
mod session;
mod watch;

use capspawn_raw::steps::{
    self, Confine, Failure, Fault, FilterProgram, Instruction, Step,
};
use capspawn_raw::syscall::{call, exit, number};

/// The longest filter there may be; the host's have some 250 instructions.
const MAX_FILTER: usize = 1024;

/// What the host orders; the same fields as in its `Orders`.
struct Orders {
    mode: u32,
    program: i32,
    ruleset: i32,
    filter: i32,
    status: i32,
    uid: u32,
    gid: u32,
    canary: u32,
    words: i32,
    fault: Fault,
}

#[unsafe(naked)]
#[unsafe(no_mangle)]
extern "C" fn _start() -> ! {
    core::arch::naked_asm!("mov rdi, rsp", "and rsp, -16", "call {main}", "ud2", main = sym main)
}

/// Gets the initial stack: the count, the arguments, null, the environment, null.
extern "C" fn main(stack: *const usize) -> ! {
    // SAFETY: the kernel puts the argument count there.
    let count = unsafe { *stack };
    if count == 0 {
        exit(125);
    }
    let argv = stack.wrapping_add(1);
    let envp = argv.wrapping_add(count + 1);
    // SAFETY: with a count of 1 or more the first argument is a C string.
    let orders = unsafe { *argv };
    let orders = parse(orders as *const u8);
    let fault = orders.fault;
    if orders.mode & 8 != 0 {
        session::run(&orders);
    }
    if let Err(failure) = confine(&orders) {
        fail(&orders, failure);
    }
    if orders.mode & 4 != 0 {
        watch::run(orders.status);
    }
    if orders.mode & 1 != 0 {
        exit(probe::run(orders.canary, orders.mode & 16 != 0));
    }
    let done = fault.guard(Step::Exec, || {
        // SAFETY: the kernel made both arrays; the program's arguments follow the orders.
        match unsafe { steps::execute(orders.program, argv.wrapping_add(1).addr(), envp.addr()) } {
            0 => Ok(()),
            errno => Err(errno),
        }
    });
    match done {
        Ok(()) => exit(125),
        Err(failure) => fail(&orders, failure),
    }
}

fn parse(mut text: *const u8) -> Orders {
    let mut word = || {
        let mut value = 0u32;
        let mut digits = 0;
        while digits < 8 {
            // SAFETY: the string ends with a NUL, at which the pointer stays.
            let byte = unsafe { *text };
            let digit = match byte {
                b'0'..=b'9' => byte - b'0',
                b'a'..=b'f' => byte - b'a' + 10,
                _ => exit(125),
            };
            value = value << 4 | u32::from(digit);
            text = text.wrapping_add(1);
            digits += 1;
        }
        value
    };
    Orders {
        mode: word(),
        program: word().cast_signed(),
        ruleset: word().cast_signed(),
        filter: word().cast_signed(),
        status: word().cast_signed(),
        uid: word(),
        gid: word(),
        canary: word(),
        words: word().cast_signed(),
        fault: Fault {
            step: word(),
            errno: word().cast_signed(),
        },
    }
}

fn fail(orders: &Orders, (step, errno): Failure) -> ! {
    let report = [step as u32, errno.cast_unsigned()];
    let bytes = (&raw const report).addr();
    // SAFETY: 8 bytes of a local value, read only.
    let _ = unsafe { call(number::WRITE, [orders.status as usize, bytes, 8, 0, 0, 0]) };
    exit(127)
}

fn confine(orders: &Orders) -> Result<(), Failure> {
    if orders.mode & 2 == 0 {
        return Ok(());
    }
    let fault = orders.fault;
    fault.guard(Step::Descriptors, steps::close_on_exec)?;
    fault.guard(Step::Identity, || become_user(orders.uid, orders.gid))?;
    let mut code = [const { core::mem::MaybeUninit::<Instruction>::uninit() }; MAX_FILTER];
    let len = match orders.filter {
        -1 => 0,
        fd => {
            let args = [
                fd as usize,
                code.as_mut_ptr().addr(),
                size_of_val(&code),
                0,
                0,
                0,
            ];
            // SAFETY: `code` is writable for as many bytes as are asked for.
            let read = fault.guard(Step::Seccomp, || unsafe { call(number::PREAD64, args) })?;
            read / size_of::<Instruction>()
        }
    };
    let filter = FilterProgram {
        len: len as u16,
        code: code.as_ptr().cast(),
    };
    // The securebits are locked already: that needs a capability which the change of user took.
    let confine = Confine {
        lock_securebits: false,
        ruleset: orders.ruleset,
        filter,
    };
    steps::confine(&confine, fault)
}

fn become_user(uid: u32, gid: u32) -> Result<(), i32> {
    let (uid, gid) = (uid as usize, gid as usize);
    // SAFETY: an empty list; the process is single-threaded and shares no memory with the host.
    unsafe { call(number::SETGROUPS, [0; 6])? };
    // SAFETY: takes no pointer.
    unsafe { call(number::SETRESGID, [gid, gid, gid, 0, 0, 0])? };
    steps::lock_securebits()?;
    // SAFETY: takes no pointer.
    unsafe { call(number::SETRESUID, [uid, uid, uid, 0, 0, 0])? };
    Ok(())
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    exit(125)
}

/// What the precompiled parts of `core` name as their unwinder. Nothing unwinds:
/// a panic exits.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {
    exit(125)
}

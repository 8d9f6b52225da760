//! `capspawn-init`: the program that capspawn runs where a vfork child cannot do the work.
//!
//! One process of it changes its user, confines itself and executes a program; another
//! tries what its confinement should deny; another kills the children of a host that has
//! died; another holds a user namespace by which the host maps ids; and some are servers that start children, and the pid 1 of a session. The task and what it needs are
//! in `argv[0]`, see [`InitArgs`]; the other arguments and the environment belong to the
//! program that it executes.
//!
//! The program is static and linked with no library, not even the standard one: it starts
//! from a memfd, in a root that may have no libraries, and each of its processes must be
//! small. Rejected: one program for each task. They share most of their code, and the
//! host would embed and seal each.

#![no_std]
#![no_main]
#![warn(
    missing_docs,
    unreachable_pub,
    clippy::undocumented_unsafe_blocks,
    clippy::multiple_unsafe_ops_per_block
)]

mod execute;
mod map_ids;
mod memory;
mod probe;
mod session;
mod watchdog;

use core::ffi::c_char;

use capspawn_raw::string_array::StringArray;
use capspawn_raw::syscall::exit;
use capspawn_raw::wire::InitArgs;

/// The exit status of a process that was not started by the host, or that panicked.
const MISUSE: usize = 125;

#[unsafe(naked)]
#[unsafe(no_mangle)]
extern "C" fn _start() -> ! {
    core::arch::naked_asm!("mov rdi, rsp", "and rsp, -16", "call {main}", "ud2", main = sym main)
}

/// The first function, with the initial stack: the number of arguments, the arguments, a
/// null pointer, the environment, a null pointer.
extern "C" fn main(stack: *const usize) -> ! {
    // SAFETY: the kernel puts the number of arguments there.
    let count = unsafe { *stack };
    if count == 0 {
        exit(MISUSE);
    }
    let first = stack.wrapping_add(1).cast::<*const c_char>();
    // SAFETY: with at least one argument this is the first pointer of the argument vector.
    let own = unsafe { *first };
    let Some(args) = InitArgs::read(string(own.cast())) else {
        exit(MISUSE)
    };
    match args {
        InitArgs::Execute(args) => {
            // SAFETY: the kernel ends the argument vector with a null pointer, so that its second pointer starts an
            // array too. Both arrays lie on the initial stack, which nothing changes.
            let argv = unsafe { StringArray::new(first.wrapping_add(1)) };
            // SAFETY: after that null pointer the environment begins, which ends with one too.
            let envp = unsafe { StringArray::new(first.wrapping_add(count + 1)) };
            execute::run(&args, argv, envp)
        }
        InitArgs::Probe {
            canary,
            in_session,
            free_groups,
        } => exit(probe::run(canary, in_session, free_groups)),
        InitArgs::Watch { socket } => watchdog::run(socket),
        InitArgs::MapIds { socket } => map_ids::run(socket),
        InitArgs::Session(args) => session::run(&args),
        InitArgs::Serve {
            control,
            announcements,
        } => session::serve_alone(control, announcements),
    }
}

/// Returns the bytes of a C string without its NUL. Of one that is longer than the arguments
/// it returns as many bytes as show that.
fn string(start: *const u8) -> &'static [u8] {
    let mut length = 0;
    while length <= InitArgs::BYTES {
        // SAFETY: the string ends with a NUL, which no earlier byte was.
        if unsafe { *start.wrapping_add(length) } == 0 {
            break;
        }
        length += 1;
    }
    // SAFETY: these bytes were read above, and lie on the initial stack, which nothing changes.
    unsafe { core::slice::from_raw_parts(start, length) }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    exit(MISUSE)
}

/// The unwinder, which the precompiled parts of `core` refer to. Nothing unwinds: a panic
/// exits.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {
    exit(MISUSE)
}

//! Executes a program as another user, confined.
//!
//! A vfork child cannot change its user: `set*uid` in a child that shares the host's memory
//! makes the host undumpable. So the vfork child executes this program, which changes the
//! user and then executes the granted one.

use core::mem::MaybeUninit;

use capspawn_raw::confine::{self, Confine};
use capspawn_raw::filter::{FilterProgram, INSTRUCTION_BYTES};
use capspawn_raw::limit;
use capspawn_raw::step::{Failure, Step};
use capspawn_raw::string_array::StringArray;
use capspawn_raw::syscall::{call, descriptor, exit, number};
use capspawn_raw::wire::{ExecuteArgs, FailureReport};

/// The most bytes of a filter; the host's filters have about 250 instructions.
const MAX_FILTER: usize = 1024 * INSTRUCTION_BYTES;

/// Executes the program, or reports why not and exits.
pub(crate) fn run(args: &ExecuteArgs, argv: StringArray<'_>, envp: StringArray<'_>) -> ! {
    let executed = confine(args).and_then(|()| {
        let execute = || confine::execute(args.program, argv, envp);
        args.fault.guard(Step::Exec, execute)
    });
    let Err(failure) = executed;
    report(args.report, failure);
    exit(127)
}

fn report(pipe: i32, failure: Failure) {
    let report = FailureReport(failure).to_bytes();
    let bytes = (&raw const report).expose_provenance();
    let args = [descriptor(pipe), bytes, report.len(), 0, 0, 0];
    // SAFETY: the kernel reads the bytes of `report`.
    let _ = unsafe { call(number::WRITE, args) };
}

fn confine(args: &ExecuteArgs) -> Result<(), Failure> {
    let fault = args.fault;
    fault.guard(Step::Descriptors, confine::close_on_exec)?;
    fault.guard(Step::Identity, || confine::become_user(args.uid, args.gid))?;
    fault.guard(Step::Limits, || match args.user_tasks {
        u32::MAX => Ok(()),
        tasks => limit::set_tasks(u64::from(tasks)),
    })?;
    let mut buffer = MaybeUninit::<[u8; MAX_FILTER]>::uninit();
    let filter = match args.filter {
        Some(file) => fault.guard(Step::Seccomp, || read(file, &mut buffer))?,
        None => &[],
    };
    let confine = Confine {
        // Locked already, with the change of the user.
        lock_securebits: false,
        capabilities: 0,
        ruleset: args.ruleset,
        filter: FilterProgram::from_bytes(filter),
        observer: None,
    };
    confine::confine(&confine, fault)
}

/// Reads the file from its start: other processes have the same file at another position.
fn read(file: i32, buffer: &mut MaybeUninit<[u8; MAX_FILTER]>) -> Result<&[u8], i32> {
    let start = buffer.as_mut_ptr();
    let args = [
        descriptor(file),
        start.expose_provenance(),
        MAX_FILTER,
        0,
        0,
        0,
    ];
    // SAFETY: the kernel stores at most `MAX_FILTER` bytes, which `buffer` has.
    let count = unsafe { call(number::PREAD64, args)? };
    // SAFETY: the kernel has stored `count` bytes, and `buffer` is borrowed for as long as the slice.
    Ok(unsafe { core::slice::from_raw_parts(start.cast(), count) })
}

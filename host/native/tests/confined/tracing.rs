//! Tracing: a child's own processes, and others.

#![allow(unsafe_code, reason = "stops itself, and reads registers")]

use std::cell::Cell;
use std::io;

use capspawn_native::Signal;
use libc::EPERM;

use crate::attempt::{Target, assert_fails};
use crate::forked::{Forked, in_a_fork};
use crate::processes::{TRACE, own_pid, sleeper_with_rules_of};
use crate::syscall::{bits, call};
use crate::table::Expected::Fails;
use crate::table::{Row, assert_table, permitted, row, unaimed};

/// Tracing among the processes of one child, as debuggers and the leak checkers of gcc and clang do it. Landlock refuses
/// all others, and the filter holds for a traced process.
#[rustfmt::skip]
pub(crate) const TRACING: &[Row] = &[
    permitted("trace: a process that asks for it", trace_a_fork, unaimed),
    permitted("trace: the parent", trace_the_parent, unaimed),
    row("trace: a call that the tracer changes", change_a_call, unaimed, Fails(EPERM), Fails(EPERM)),
];

/// The process asks to be traced, and is traced over the end of a call.
fn trace_a_fork(_: &Target) -> io::Result<()> {
    trace_until_end(|_, _| Ok(()))
}

/// At the entry of `getpid`, the call becomes `personality(READ_IMPLIES_EXEC)`.
fn change_a_call(_: &Target) -> io::Result<()> {
    let is_first = Cell::new(true);
    trace_until_end(|child, registers| {
        if registers.orig_rax == libc::SYS_getpid as u64 && is_first.replace(false) {
            registers.orig_rax = libc::SYS_personality as u64;
            registers.rdi = libc::READ_IMPLIES_EXEC as u64;
            let registers = (&raw const *registers).addr();
            call_ptrace(libc::PTRACE_SETREGS, child, registers)?;
        }
        Ok(())
    })
}

fn call_ptrace(request: libc::c_uint, pid: usize, data: usize) -> io::Result<()> {
    call(libc::SYS_ptrace, [request as usize, pid, 0, data, 0, 0]).map(drop)
}

/// Forks a process that exits with the error of its `getpid`, and calls `at_call` at the entry and the exit of its calls.
fn trace_until_end(
    at_call: impl Fn(usize, &mut libc::user_regs_struct) -> io::Result<()>,
) -> io::Result<()> {
    let traced = Forked::new(|| {
        call_ptrace(libc::PTRACE_TRACEME, 0, 0)?;
        // SAFETY: takes no pointer; the tracer continues it.
        unsafe { libc::raise(libc::SIGSTOP) };
        call(libc::SYS_getpid, [0; 6]).map(drop)
    });
    loop {
        if let Some(result) = traced.wait()? {
            return result;
        }
        // SAFETY: all bytes zero are valid registers.
        let mut registers: libc::user_regs_struct = unsafe { std::mem::zeroed() };
        let traced = bits(traced.0);
        call_ptrace(libc::PTRACE_GETREGS, traced, (&raw mut registers).addr())?;
        at_call(traced, &mut registers)?;
        call_ptrace(libc::PTRACE_SYSCALL, traced, 0)?;
    }
}

/// As LeakSanitizer does.
fn trace_the_parent(_: &Target) -> io::Result<()> {
    let parent = own_pid();
    in_a_fork(|| call_ptrace(libc::PTRACE_SEIZE, parent, 0))
}

#[test]
fn a_child_may_trace_its_own_processes() {
    assert_table(TRACING);
}

#[test]
fn children_of_one_session_cannot_trace_each_other() {
    let trace = TRACE.spec();
    let (sleeper, pid) = sleeper_with_rules_of(&trace);
    assert_fails(&trace.at_process(pid), EPERM);
    sleeper.process.signal(Signal::Kill).expect("it runs");
    sleeper.finish();
}

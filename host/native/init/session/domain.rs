//! Servers with a Landlock domain of their own, by which the kernel names a process tree.
//!
//! The problem: a child's descendants may make sessions and process groups of their own, and
//! their parents may end, so that neither a group nor the line of parents names them all.
//!
//! The way chosen: a server restricts itself to a domain in which signals have a scope, and
//! starts at most one tree at a time. Each child and all its descendants are in a domain nested in the
//! server's, which nobody leaves. `kill(-1, SIGKILL)` by the server then reaches all of them and
//! nobody else. The kernel holds the lock that forks need while it goes through the
//! processes, and a fork with a signal pending fails, so that no process is missed.
//!
//! Rejected: to search `/proc` for descendants, which misses those that fork faster than they
//! are found; and a pid namespace for each child, whose numbers the session's `/proc` would
//! not show.

use super::descriptor::Descriptor;
use super::server::Server;
use capspawn_raw::syscall::{call, descriptor, exit, number};

const EPERM: i32 = 1;
const SIGKILL: usize = 9;
/// The first argument of `kill(2)` for all processes that the caller may signal.
const ALL_PROCESSES: usize = -1isize as usize;

/// Restricts the process with `ruleset`, which has a scope for signals. Fails unless the kernel then refuses a signal to
/// the process `outside`, which it has allowed before: without the scope `kill(-1)` would reach every process of the
/// user.
///
/// `outside` is the server that has forked this one. It has the same user and the same rights, which the host has not,
/// so that nothing but the scope keeps the signal from it.
pub(super) fn enter(ruleset: Option<&Descriptor>, outside: usize) -> Result<(), i32> {
    let ruleset = ruleset.ok_or(EPERM)?;
    may_signal(outside)?;
    let args = [descriptor(ruleset.number()), 0, 0, 0, 0, 0];
    // SAFETY: the call takes no pointer. The domain belongs to the calling task.
    unsafe { call(number::LANDLOCK_RESTRICT_SELF, args) }?;
    match may_signal(outside) {
        Err(EPERM) => Ok(()),
        // Without a scope.
        Ok(()) => Err(EPERM),
        Err(errno) => Err(errno),
    }
}

/// Returns whether the kernel allows a signal to the process.
fn may_signal(pid: usize) -> Result<(), i32> {
    // SAFETY: the call takes no pointer. The signal 0 only checks the right.
    unsafe { call(number::KILL, [pid, 0, 0, 0, 0, 0]) }.map(drop)
}

/// Sends `signal` to all processes in the server's domain but the server.
pub(super) fn signal(server: &Server<'_>, signal: usize) {
    if !server.has_domain {
        exit(1);
    }
    // SAFETY: the call takes no pointer. The process is in a domain of its own, as `enter` has found.
    let _ = unsafe { call(number::KILL, [ALL_PROCESSES, signal, 0, 0, 0, 0]) };
}

/// Kills what is left in the server's domain, and ends the server.
pub(super) fn end(server: &Server<'_>, status: usize) -> ! {
    if server.has_domain {
        signal(server, SIGKILL);
    }
    exit(status)
}

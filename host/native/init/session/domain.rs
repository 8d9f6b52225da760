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
use super::serve::serve;
use super::server::Server;
use super::socket::{self, MAX_DESCRIPTORS};
use capspawn_raw::syscall::{call, descriptor, exit, number};
use capspawn_raw::wire::Report;

const EPERM: i32 = 1;
const SIGKILL: usize = 9;
/// The first argument of `kill(2)` for all processes that the caller may signal.
const ALL_PROCESSES: usize = -1isize as usize;

/// Forks another server, a child of the host, which serves at the socket that came along. It reports there that it is
/// ready, or this server reports there why there is none.
pub(super) fn start_server(
    server: &mut Server<'_>,
    has_domain: bool,
    descriptors: [Option<Descriptor>; MAX_DESCRIPTORS],
) {
    const CLONE_PARENT: usize = 0x8000;
    let mut descriptors = descriptors.into_iter().flatten();
    let Some(control) = descriptors.next() else {
        // The socket for the reply is unknown: exiting reports the failure to the host.
        exit(1)
    };
    let [first, second] = server.filter_pass;
    let args = [CLONE_PARENT, 0, 0, 0, first, second];
    // SAFETY: without CLONE_VM the new process gets a copy of the memory, with the stack at the same address.
    match unsafe { call(number::CLONE, args) } {
        Ok(0) => run(server, has_domain, &control),
        Ok(_) => {}
        Err(errno) => {
            let report = Report::Refused {
                step: None,
                errno,
                number: 0,
            };
            let _ = socket::send(&control, &report, None);
        }
    }
}

/// Serves as a new process.
fn run(starter: &mut Server<'_>, has_domain: bool, control: &Descriptor) -> ! {
    // The host notices the end of each server by its own socket.
    // SAFETY: the call takes no pointer. The descriptor is this process's own copy, which nothing uses from here on.
    let _ = unsafe { call(number::CLOSE, [starter.control.arg(), 0, 0, 0, 0, 0]) };
    if has_domain && enter_domain(starter.child_ruleset.as_ref()).is_none() {
        exit(1);
    }
    let mut server = Server {
        filter_pass: starter.filter_pass,
        child_ruleset: starter.child_ruleset.take(),
        tmp: starter.tmp.take(),
        control,
        has_domain,
        announcements: starter.announcements,
        stack_top: starter.stack_top,
        pointers: core::mem::take(&mut starter.pointers),
    };
    if socket::send(control, &Report::Ready, None).is_err() {
        exit(0);
    }
    serve(&mut server)
}

/// Restricts the process with `ruleset`, which has a scope for signals. `None` unless that has
/// succeeded: without the scope `kill(-1)` would reach every process of the user.
fn enter_domain(ruleset: Option<&Descriptor>) -> Option<()> {
    let args = [descriptor(ruleset?.number()), 0, 0, 0, 0, 0];
    // SAFETY: the call takes no pointer. The domain belongs to the calling task.
    unsafe { call(number::LANDLOCK_RESTRICT_SELF, args) }.ok()?;
    is_scoped().then_some(())
}

/// Returns whether the kernel refuses a signal to a process outside the domain: to the parent, the host, or to pid 1 where the
/// parent is in another pid namespace. The process has the same user and could signal either without the scope.
fn is_scoped() -> bool {
    // SAFETY: the call takes no pointer.
    let parent = unsafe { call(number::GETPPID, [0; 6]) };
    let outside = match parent {
        Ok(0) | Err(_) => 1,
        Ok(parent) => parent,
    };
    // SAFETY: the call takes no pointer. The signal 0 only checks the right.
    let signalled = unsafe { call(number::KILL, [outside, 0, 0, 0, 0, 0]) };
    signalled == Err(EPERM)
}

/// Sends `signal` to all processes in the server's domain but the server.
pub(super) fn signal(server: &Server<'_>, signal: usize) {
    if !server.has_domain {
        exit(1);
    }
    // SAFETY: the call takes no pointer. The process is in a domain of its own, as `enter_domain` has found.
    let _ = unsafe { call(number::KILL, [ALL_PROCESSES, signal, 0, 0, 0, 0]) };
}

/// Kills what is left in the server's domain, and ends the server.
pub(super) fn end(server: &Server<'_>, status: usize) -> ! {
    if server.has_domain {
        signal(server, SIGKILL);
    }
    exit(status)
}

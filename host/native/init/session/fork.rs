//! Forks a server that starts children while another one does.

use super::descriptor::Descriptor;
use super::domain;
use super::server::Server;
use super::socket;
use capspawn_raw::child::PassArguments;
use capspawn_raw::confine::drop_capabilities;
use capspawn_raw::syscall::{call, exit, number};
use capspawn_raw::wire::Report;

/// Forks another server, a child of the host, which is to serve at `control`. Returns it to the new process, which has reported there
/// that it is ready, and none to the caller, which reports there why there is none.
pub(super) fn server<'new, 'old: 'new>(
    starter: &mut Server<'old>,
    has_domain: bool,
    control: &'new Descriptor,
) -> Option<Server<'new>> {
    const CLONE_PARENT: usize = 0x8000;
    let [first, second] = starter.filter_pass;
    let own = own_pid();
    let args = [CLONE_PARENT, 0, 0, 0, first, second];
    // SAFETY: without CLONE_VM the new process gets a copy of the memory, with the stack at the same address.
    match unsafe { call(number::CLONE, args) } {
        Ok(0) => Some(begin(starter, has_domain, control, own)),
        Ok(_) => None,
        Err(errno) => {
            refuse(control, errno, 0);
            None
        }
    }
}

/// Reports why there is no server, and the process that failed, which the host reaps; 0 if there was none.
fn refuse(control: &Descriptor, errno: i32, pid: usize) {
    let report = Report::Refused {
        step: None,
        errno,
        pid: pid as u32,
    };
    let _ = socket::send(control, &report, None);
}

/// Returns this process's pid, which is also the one that the host sees: servers are in the host's pid namespace.
fn own_pid() -> usize {
    // SAFETY: the call takes no pointer. It cannot fail.
    unsafe { call(number::GETPID, [0; 6]) }.unwrap_or(0)
}

/// Makes a server of the new process.
fn begin<'new, 'old: 'new>(
    starter: &mut Server<'old>,
    has_domain: bool,
    control: &'new Descriptor,
    starter_pid: usize,
) -> Server<'new> {
    // The host notices the end of each server by its own socket.
    // SAFETY: the call takes no pointer. The descriptor is this process's own copy, which nothing uses from here on.
    let _ = unsafe { call(number::CLOSE, [starter.control.arg(), 0, 0, 0, 0, 0]) };
    let is_confined = match starter.pid_namespace.take() {
        Some(namespace) => {
            join(&namespace, starter.filter_pass).and_then(|()| drop_capabilities(0))
        }
        // Outside a session a child drops the privileges itself.
        None => Ok(()),
    };
    let is_ready = is_confined.and_then(|()| match has_domain {
        true => domain::enter(starter.child_ruleset.as_ref(), starter_pid),
        false => Ok(()),
    });
    if let Err(errno) = is_ready {
        refuse(control, errno, own_pid());
        exit(1);
    }
    if socket::send(control, &Report::Ready { pid_1: 0 }, None).is_err() {
        exit(0);
    }
    Server {
        filter_pass: starter.filter_pass,
        pid_namespace: None,
        child_ruleset: starter.child_ruleset.take(),
        tmp: starter.tmp.take(),
        files: None,
        control,
        has_domain,
        announcements: starter.announcements,
        number: starter.number,
        stack_top: starter.stack_top,
        pointers: core::mem::take(&mut starter.pointers),
    }
}

/// Makes the pid `namespace` that of the children of this process, which itself stays outside.
fn join(namespace: &Descriptor, [first, second]: PassArguments) -> Result<(), i32> {
    const CLONE_NEWPID: usize = 0x2000_0000;
    let args = [namespace.arg(), CLONE_NEWPID, 0, 0, first, second];
    // SAFETY: the call takes no pointer.
    unsafe { call(number::SETNS, args) }.map(drop)
}

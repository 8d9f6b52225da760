//! Pid 1 of the session: it makes the root and then waits.
//!
//! A `/proc` shows the processes of the pid namespace in which it is mounted, so pid 1 makes
//! the root inside its namespace. After that it does nothing: it ignores SIGCHLD, so that
//! the kernel reaps the orphans that become its children, and when it exits, the kernel kills
//! every process of the namespace. It keeps one descriptor, a socket whose other end the host
//! holds, and exits when the host does.

use super::descriptor::{Descriptor, Mapped};
use super::failure::fail;
use super::{confine, namespaces, network, root, socket};
use capspawn_raw::step::{Fault, Step};
use capspawn_raw::syscall::{call, exit, number};
use capspawn_raw::wire::Configuration;

const ENOENT: i32 = 2;
const ESRCH: i32 = 3;
const EINTR: i32 = 4;

/// What pid 1 has when it starts.
pub(super) struct Pid1 {
    pub(super) control: Descriptor,
    pub(super) ruleset: Option<Descriptor>,
    /// The socket whose other end the host holds.
    pub(super) lifeline: Descriptor,
    /// The server notifies pid 1 here that the network namespace is made. Pid 1 notifies the
    /// server that the root is made, and closes the socket after dropping its privileges.
    pub(super) server: Descriptor,
    /// The server's namespaces.
    pub(super) namespaces: Descriptor,
    /// The file system of the session's message queues.
    pub(super) queues: Option<Descriptor>,
    pub(super) configuration: Mapped,
    pub(super) fault: Fault,
}

/// Makes the root, gives up all rights and waits for the end of the host.
pub(super) fn run(pid1: Pid1) -> ! {
    let control = &pid1.control;
    let Some(configuration) = Configuration::read(pid1.configuration.bytes()) else {
        exit(1)
    };
    let fault = pid1.fault;
    if let Err(errno) = ignore_children().and_then(|()| namespaces::set_host_name(&configuration)) {
        fail(control, Step::Namespaces, errno, 0);
    }
    if fault.step == Some(Step::Root) {
        fail(control, Step::Root, fault.errno, u32::MAX);
    }
    if let Err((errno, operation)) = root::make(&configuration, pid1.queues.as_ref()) {
        fail(control, Step::Root, errno, operation);
    }
    if !socket::await_peer(&pid1.server) {
        // The server has reported why.
        exit(127);
    }
    match network::enter(&configuration, &pid1.namespaces) {
        Ok(()) => {}
        // The server was killed meanwhile, and the session with it.
        Err(ENOENT | ESRCH) => exit(127),
        Err(errno) => fail(control, Step::Namespaces, errno, 0),
    }
    drop(pid1.namespaces);
    let _ = socket::notify(&pid1.server);
    if let Err((step, errno)) = confine::pid1(pid1.ruleset.as_ref(), fault) {
        fail(control, step, errno, 0);
    }
    // The configuration contains the server's filter and its pass.
    drop(pid1.configuration);
    drop(pid1.control);
    drop(pid1.ruleset);
    drop(pid1.queues);
    drop(pid1.server);
    wait(&pid1.lifeline)
}

/// The kernel reaps the children of a process that ignores SIGCHLD.
fn ignore_children() -> Result<(), i32> {
    const SIGCHLD: usize = 17;
    const SIG_IGN: usize = 1;
    // The kernel's `struct sigaction`: the action, and neither flags, restorer nor mask.
    let action = [SIG_IGN, 0, 0, 0];
    let args = [SIGCHLD, (&raw const action).expose_provenance(), 0, 8, 0, 0];
    // SAFETY: the kernel reads a `struct sigaction`.
    unsafe { call(number::RT_SIGACTION, args) }.map(drop)
}

/// Waits for the end of the host, and exits.
fn wait(lifeline: &Descriptor) -> ! {
    let mut byte = 0u8;
    let args = [
        lifeline.arg(),
        (&raw mut byte).expose_provenance(),
        1,
        0,
        0,
        0,
    ];
    loop {
        // SAFETY: the kernel stores at most one byte, in `byte`.
        if unsafe { call(number::READ, args) } != Err(EINTR) {
            exit(0);
        }
    }
}

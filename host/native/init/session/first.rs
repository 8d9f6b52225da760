//! Pid 1: it makes the root, and then lives.
//!
//! The file system of `/proc` shows the processes of who mounts it, so that the
//! root is made from inside. After that pid 1 does nothing: the kernel reaps the
//! orphans that become its children, since it ignores their ends, and ends the
//! whole namespace with it. It holds one descriptor, whose other end is the
//! host's: the end of the host is its own.

use super::descriptor::{Descriptor, Mapped};
use super::start::fail;
use super::{confine, namespaces, network, root, socket};
use crate::Orders;
use capspawn_raw::syscall::{call, exit, number};
use capspawn_raw::steps::Step;
use capspawn_raw::wire::Configuration;

const ENOENT: i32 = 2;
const ESRCH: i32 = 3;
const EINTR: i32 = 4;

/// What pid 1 has from the beginning.
pub(super) struct First {
    pub(super) control: Descriptor,
    pub(super) ruleset: Descriptor,
    /// Ends with the host.
    pub(super) lifeline: Descriptor,
    /// Hears from the server that it has the network namespace; tells it that the root is made, and by its end
    /// that nothing more is to be done.
    pub(super) server: Descriptor,
    /// The server's namespaces.
    pub(super) namespaces: Descriptor,
    pub(super) configuration: Mapped,
}

/// Makes the root, gives up all rights and stays.
pub(super) fn run(first: First, orders: &Orders) -> ! {
    let control = &first.control;
    let Some(configuration) = Configuration::read(first.configuration.bytes()) else {
        exit(1)
    };
    let fault = orders.fault;
    if let Err(errno) = ignore_ends().and_then(|()| namespaces::name()) {
        fail(control, Step::Namespaces, errno, 0);
    }
    if fault.step == Step::Root as u32 {
        fail(control, Step::Root, fault.errno, u32::MAX);
    }
    if let Err((errno, operation)) = root::make(&configuration) {
        fail(control, Step::Root, errno, operation);
    }
    if !socket::is_nodded(&first.server) {
        // The server has said why.
        exit(127);
    }
    match network::enter(&configuration, &first.namespaces) {
        Ok(()) => {}
        // The server was killed meanwhile: a session that has ended.
        Err(ENOENT | ESRCH) => exit(127),
        Err(errno) => fail(control, Step::Namespaces, errno, 0),
    }
    drop(first.namespaces);
    let _ = socket::nod(&first.server);
    if let Err((step, errno)) = confine::first(first.ruleset.0, fault) {
        fail(control, step, errno, 0);
    }
    // What it needs no more, the server's filter with the key among it.
    drop(first.configuration);
    drop(first.control);
    drop(first.ruleset);
    drop(first.server);
    stay(&first.lifeline)
}

/// Who ignores the ends of its children has none to reap.
fn ignore_ends() -> Result<(), i32> {
    const SIGCHLD: usize = 17;
    const SIG_IGN: usize = 1;
    // The handler; flags, restorer and mask are zero.
    let action = [SIG_IGN, 0, 0, 0];
    let args = [SIGCHLD, (&raw const action).addr(), 0, 8, 0, 0];
    // SAFETY: a `struct sigaction` of the kernel, read only.
    unsafe { call(number::RT_SIGACTION, args) }.map(drop)
}

/// Waits for the end of the host.
fn stay(lifeline: &Descriptor) -> ! {
    let mut byte = 0u8;
    let args = [lifeline.arg(), (&raw mut byte).addr(), 1, 0, 0, 0];
    loop {
        // SAFETY: one byte, writable.
        if unsafe { call(number::READ, args) } != Err(EINTR) {
            exit(0);
        }
    }
}

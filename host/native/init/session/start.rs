//! From the helper's first instruction to a server that serves.

use super::descriptor::{Descriptor, Mapped};
use super::first::{self, First};
use super::serve::Server;
use super::{confine, namespaces, serve, socket};
use crate::raw::{call, exit, number};
use crate::steps::{self, Failure, Fault, Step};
use crate::wire::{self, Configuration, Report, flag};
use crate::{Orders, become_user};

const EINVAL: i32 = 22;
/// More than the paths of any grant take.
const MAX_CONFIGURATION: usize = 16 * 1024 * 1024;

/// Starts a session and serves it. A failure is reported on the control socket.
pub(crate) fn run(orders: &Orders) -> ! {
    let control = Descriptor(orders.status);
    let ruleset = Descriptor(orders.ruleset);
    let lifeline = Descriptor(orders.filter);
    let file = Descriptor(orders.program);
    let mapped = match steps::close_on_exec().and_then(|()| Mapped::new(&file, MAX_CONFIGURATION)) {
        Ok(mapped) => mapped,
        Err(errno) => fail(&control, Step::Request, errno, 0),
    };
    drop(file);
    let Some(configuration) = Configuration::read(mapped.bytes()) else {
        fail(&control, Step::Request, EINVAL, 0)
    };
    let fault = orders.fault;
    if let Err((step, errno)) = enter(&configuration, fault) {
        fail(&control, step, errno, 0);
    }
    let forked = pipe().and_then(|ends| Ok((namespaces::fork()?, ends)));
    let (is_first, [made, making]) = match forked {
        Ok(forked) => forked,
        Err(errno) => fail(&control, Step::Namespaces, errno, 0),
    };
    if is_first {
        drop(made);
        let first = First {
            control,
            ruleset,
            lifeline,
            made: making,
            configuration: mapped,
        };
        first::run(first, orders)
    }
    drop(making);
    drop(lifeline);
    let key = wire::key(mapped.bytes()).ok_or(EINVAL);
    let server = key.and_then(|key| Server::new(key, &control));
    let mut server = match server {
        Ok(server) => server,
        Err(errno) => fail(&control, Step::Request, errno, 0),
    };
    if !is_made(&made) {
        // Pid 1 has said why.
        exit(127);
    }
    drop(made);
    server.nested = match confine::confine(&configuration, ruleset.0, fault) {
        Ok(nested) => nested,
        Err((step, errno)) => fail(&control, step, errno, 0),
    };
    drop(ruleset);
    // It holds the key, which stays in the one place that calls with it.
    drop(mapped);
    if socket::send(&control, &Report::Ready, None).is_err() {
        exit(0);
    }
    serve::serve(&mut server)
}

/// A pipe's reading and writing end.
fn pipe() -> Result<[Descriptor; 2], i32> {
    const O_CLOEXEC: usize = 0o2_000_000;
    let mut ends = [-1i32; 2];
    let args = [(&raw mut ends).addr(), O_CLOEXEC, 0, 0, 0, 0];
    // SAFETY: two descriptors are stored.
    unsafe { call(number::PIPE2, args)? };
    Ok(ends.map(Descriptor))
}

/// Waits until pid 1 has made the root, which is this process' too then, and has let
/// go of all that it does not keep.
fn is_made(made: &Descriptor) -> bool {
    let mut bytes = [0u8; 2];
    let mut read = || {
        let args = [made.arg(), (&raw mut bytes).addr(), 2, 0, 0, 0];
        // SAFETY: two bytes, writable. No signal interrupts it: all are blocked.
        unsafe { call(number::READ, args) }
    };
    read() == Ok(1) && read() == Ok(0)
}

pub(super) fn fail(control: &Descriptor, step: Step, errno: i32, operation: u32) -> ! {
    let step = step as u32;
    let report = Report::Failed {
        step,
        errno,
        operation,
    };
    let _ = socket::send(control, &report, None);
    exit(127)
}

fn enter(configuration: &Configuration<'_>, fault: Fault) -> Result<(), Failure> {
    fault.guard(Step::Signals, block_signals)?;
    fault.guard(Step::Identity, || {
        if configuration.flags & flag::BECOME_USER == 0 {
            return Ok(());
        }
        become_user(configuration.uid, configuration.gid)
    })?;
    fault.guard(Step::Namespaces, || namespaces::enter(configuration))
}

/// Nobody has a signal for the server or for pid 1 but the one that cannot be blocked.
fn block_signals() -> Result<(), i32> {
    const SIG_BLOCK: usize = 0;
    let all = u64::MAX;
    let args = [SIG_BLOCK, (&raw const all).addr(), 0, 8, 0, 0];
    // SAFETY: a signal set of 8 bytes, read only.
    unsafe { call(number::RT_SIGPROCMASK, args) }.map(drop)
}

//! From the helper's first instruction to a server that serves.

use super::descriptor::{Descriptor, Mapped};
use super::first::{self, First};
use super::serve::Server;
use super::{confine, namespaces, network, serve, socket};
use capspawn_raw::syscall::{call, exit, number};
use capspawn_raw::steps::{self, Failure, Fault, Step};
use capspawn_raw::wire::{self, Configuration, Report, flag};
use crate::{Orders, become_user};

const EINVAL: i32 = 22;
/// More than the paths of any grant take.
const MAX_CONFIGURATION: usize = 16 * 1024 * 1024;

/// Starts a session and serves it. A failure is reported on the control socket.
pub(crate) fn run(orders: &Orders) -> ! {
    let control = Descriptor(orders.status);
    let words = Descriptor(orders.words);
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
    let forked = network::own_namespaces()
        .and_then(|own| Ok((own, socket::pair()?)))
        .and_then(|own| Ok((namespaces::fork()?, own)));
    let (is_first, (namespaces, [first, server])) = match forked {
        Ok(forked) => forked,
        Err(errno) => fail(&control, Step::Namespaces, errno, 0),
    };
    if is_first {
        drop(first);
        drop(words);
        let first = First {
            control,
            ruleset,
            lifeline,
            server,
            namespaces,
            configuration: mapped,
        };
        first::run(first, orders)
    }
    drop(server);
    drop(lifeline);
    drop(namespaces);
    // Pid 1 makes the root meanwhile.
    if let Err(errno) = network::make(&configuration) {
        fail(&control, Step::Namespaces, errno, 0);
    }
    // Where nobody listens any more, it has said why.
    let _ = socket::nod(&first);
    let key = wire::key(mapped.bytes()).ok_or(EINVAL);
    let server = key.and_then(|key| Server::new(key, &control, &words));
    let mut server = match server {
        Ok(server) => server,
        Err(errno) => fail(&control, Step::Request, errno, 0),
    };
    // The root is this process' too once it is made.
    if !socket::is_nodded(&first) {
        // Pid 1 has said why.
        exit(127);
    }
    server.nested = match confine::confine(&configuration, ruleset.0, fault) {
        Ok(nested) => nested,
        Err((step, errno)) => fail(&control, step, errno, 0),
    };
    drop(ruleset);
    // It holds the key, which stays in the one place that calls with it.
    drop(mapped);
    // Until pid 1 has given up all that it does not keep. Where it cannot it has said so.
    let _ = socket::is_nodded(&first);
    drop(first);
    if socket::send(&control, &Report::Ready, None).is_err() {
        exit(0);
    }
    serve::serve(&mut server)
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

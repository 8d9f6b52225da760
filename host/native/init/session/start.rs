//! From the helper's first instruction to pid 1 that serves.

use super::descriptor::{Descriptor, Mapped};
use super::serve::Server;
use super::{confine, namespaces, root, serve, socket};
use crate::raw::{call, exit, number};
use crate::steps::{self, Failure, Fault, Step};
use crate::wire::{Configuration, Report, flag};
use crate::{Orders, become_user};

const EINVAL: i32 = 22;
/// More than the paths of any grant take.
const MAX_CONFIGURATION: usize = 16 * 1024 * 1024;

/// Starts a session and serves it. A failure is reported on the control socket.
pub(crate) fn run(orders: &Orders) -> ! {
    let control = Descriptor(orders.status);
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
    if let Err((step, errno)) = enter(&configuration, &control, fault) {
        fail(&control, step, errno, 0);
    }
    if fault.step == Step::Root as u32 {
        fail(&control, Step::Root, fault.errno, u32::MAX);
    }
    if let Err((errno, operation)) = root::make(&configuration) {
        fail(&control, Step::Root, errno, operation);
    }
    let server = Server::new(&configuration, orders.ruleset, &control);
    let mut server = match server {
        Ok(server) => server,
        Err(errno) => fail(&control, Step::Request, errno, 0),
    };
    if let Err((step, errno)) = confine::confine(&configuration, orders.ruleset, fault) {
        fail(&control, step, errno, 0);
    }
    // It holds the key, which stays in the one place that calls with it.
    drop(mapped);
    if socket::send(&control, &Report::Ready, None).is_err() {
        exit(0);
    }
    serve::serve(&mut server)
}

fn fail(control: &Descriptor, step: Step, errno: i32, operation: u32) -> ! {
    let step = step as u32;
    let report = Report::Failed {
        step,
        errno,
        operation,
    };
    let _ = socket::send(control, &report, None);
    exit(127)
}

fn enter(
    configuration: &Configuration<'_>,
    control: &Descriptor,
    fault: Fault,
) -> Result<(), Failure> {
    fault.guard(Step::Signals, block_signals)?;
    fault.guard(Step::Identity, || {
        if configuration.flags & flag::BECOME_USER == 0 {
            return Ok(());
        }
        become_user(configuration.uid, configuration.gid)
    })?;
    fault.guard(Step::Namespaces, || {
        namespaces::enter(configuration)?;
        namespaces::fork(control)?;
        namespaces::furnish(configuration)
    })
}

/// Pid 1 takes its signals from a descriptor; none may end it before.
fn block_signals() -> Result<(), i32> {
    const SIG_BLOCK: usize = 0;
    let all = u64::MAX;
    let args = [SIG_BLOCK, (&raw const all).addr(), 0, 8, 0, 0];
    // SAFETY: a signal set of 8 bytes, read only.
    unsafe { call(number::RT_SIGPROCMASK, args) }.map(drop)
}

//! From the first instruction of a session's process to a server that serves.

use super::descriptor::{Descriptor, Mapped};
use super::failure::fail;
use super::namespaces::Ipc;
use super::pid1::{self, Pid1};
use super::server::Server;
use super::{confine, namespaces, network, root, serve, socket, state};
use capspawn_raw::attributes;
use capspawn_raw::confine::{become_user, close_on_exec};
use capspawn_raw::step::{Failure, Fault, Step};
use capspawn_raw::syscall::{call, exit, number};
use capspawn_raw::wire::{self, Configuration, Report, SessionArgs};

const EINVAL: i32 = 22;
/// The most bytes of a configuration: more than the paths of any grant take.
const MAX_CONFIGURATION: usize = 16 * 1024 * 1024;

/// Starts a session and serves it. A failure is reported on the control socket.
pub(crate) fn run(args: &SessionArgs) -> ! {
    let control = Descriptor(args.control);
    let announcements = Descriptor(args.announcements);
    let ruleset = args.ruleset.map(Descriptor);
    let lifeline = Descriptor(args.lifeline);
    let file = Descriptor(args.configuration);
    let mapped = match close_on_exec().and_then(|()| Mapped::new(&file, MAX_CONFIGURATION)) {
        Ok(mapped) => mapped,
        Err(errno) => fail(&control, Step::Request, errno, 0),
    };
    drop(file);
    let Some(configuration) = Configuration::read(mapped.bytes()) else {
        fail(&control, Step::Request, EINVAL, 0)
    };
    let fault = args.fault;
    let Ipc {
        is_limited,
        queues,
        mounts,
    } = match enter(&configuration, fault) {
        Ok(ipc) => ipc,
        Err((step, errno)) => fail(&control, step, errno, 0),
    };
    let forked = network::own_namespaces()
        .and_then(|own| Ok((own, socket::pair()?)))
        .and_then(|own| Ok((namespaces::fork()?, own)));
    let (forked, (namespaces, [pid1, server])) = match forked {
        Ok(forked) => forked,
        Err(errno) => fail(&control, Step::Namespaces, errno, 0),
    };
    let Some((pid, pid_namespace)) = forked else {
        drop(pid1);
        drop(announcements);
        drop(mounts);
        pid1::run(Pid1 {
            control,
            ruleset,
            lifeline,
            server,
            namespaces,
            queues,
            configuration: mapped,
            fault,
        })
    };
    drop(server);
    drop(lifeline);
    drop(queues);
    root::close_mounts(&configuration);
    drop(namespaces);
    // Pid 1 makes the root meanwhile.
    if let Err(errno) = network::make(&configuration) {
        fail(&control, Step::Namespaces, errno, 0);
    }
    // If pid 1 has ended, it has reported why.
    let _ = socket::notify(&pid1);
    drop(mounts);
    let filter_pass = wire::filter_pass(mapped.bytes()).ok_or(EINVAL);
    let server = filter_pass.and_then(|pass| Server::new(pass, &control, &announcements));
    let mut server = match server {
        Ok(server) => server,
        Err(errno) => fail(&control, Step::Request, errno, 0),
    };
    // Pid 1 and the server share their mounts: the root is the server's too once it is made.
    if !socket::await_peer(&pid1) {
        // Pid 1 has reported why.
        exit(127);
    }
    server.child_ruleset =
        match confine::server(&configuration, ruleset.as_ref(), is_limited, fault) {
            Ok(ruleset) => ruleset,
            Err((step, errno)) => fail(&control, step, errno, 0),
        };
    server.pid_namespace = Some(pid_namespace);
    server.files = state::files(server.filter_pass).ok();
    drop(ruleset);
    // It contains the filter's pass, which stays only where the server's calls need it.
    drop(mapped);
    // Until pid 1 has closed and unmapped all that it does not keep. If it could not, it has reported why.
    let _ = socket::await_peer(&pid1);
    drop(pid1);
    if socket::send(&control, &Report::Ready { pid_1: pid }, None).is_err() {
        exit(0);
    }
    serve::serve(&mut server)
}

fn enter(configuration: &Configuration<'_>, fault: Fault) -> Result<Ipc, Failure> {
    fault.guard(Step::Signals, block_signals)?;
    // The children inherit them. Before the change of the user, which takes the right to lower the nice value away.
    attributes::reset();
    fault.guard(Step::Identity, || {
        if configuration.becomes_user {
            become_user(configuration.uid, configuration.gid)
        } else {
            Ok(())
        }
    })?;
    fault.guard(Step::Namespaces, || namespaces::enter(configuration))
}

/// Blocks every signal for the server and for pid 1. They are only ever killed, by the one
/// signal that cannot be blocked.
pub(super) fn block_signals() -> Result<(), i32> {
    const SIG_BLOCK: usize = 0;
    let all = u64::MAX;
    let args = [SIG_BLOCK, (&raw const all).expose_provenance(), 0, 8, 0, 0];
    // SAFETY: the kernel reads a signal set of 8 bytes.
    unsafe { call(number::RT_SIGPROCMASK, args) }.map(drop)
}

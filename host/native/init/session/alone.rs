//! The first server of children outside a session.
//!
//! It gives up nothing: a child confines itself, and under a root host changes its user before that. Only
//! the host can send it requests.

use super::confine::child_ruleset;
use super::descriptor::Descriptor;
use super::failure::fail;
use super::mount;
use super::serve;
use super::server::Server;
use super::socket;
use super::start::block_signals;
use capspawn_raw::attributes;
use capspawn_raw::confine::{close_on_exec, no_new_privileges};
use capspawn_raw::step::{Failure, Step};
use capspawn_raw::syscall::exit;
use capspawn_raw::wire::Report;

/// The right to move a file to another directory, which a domain denies unless it allows it.
const REFER: u64 = 1 << 13;
/// The scope of signals.
const SIGNAL: u64 = 2;

/// Serves. A failure is reported on the control socket.
pub(crate) fn run(control: i32, announcements: i32) -> ! {
    let (control, announcements) = (Descriptor(control), Descriptor(announcements));
    let mut server = match start(&control, &announcements) {
        Ok(server) => server,
        Err((step, errno)) => fail(&control, step, errno, 0),
    };
    if socket::send(&control, &Report::Ready { pid_1: 0 }, None).is_err() {
        exit(0);
    }
    serve::serve(&mut server)
}

fn start<'a>(
    control: &'a Descriptor,
    announcements: &'a Descriptor,
) -> Result<Server<'a>, Failure> {
    let at = |step| move |errno| (step, errno);
    // The children inherit all of it.
    close_on_exec().map_err(at(Step::Descriptors))?;
    block_signals().map_err(at(Step::Signals))?;
    no_new_privileges().map_err(at(Step::NoNewPrivileges))?;
    attributes::reset();
    let root = mount::inside(c"/", true, mount::NO_PASS).map_err(at(Step::Landlock))?;
    let ruleset = child_ruleset([REFER, 0, SIGNAL], &root, REFER).map_err(at(Step::Landlock))?;
    let server = Server::new([0; 2], control, announcements).map_err(at(Step::Request))?;
    Ok(Server {
        child_ruleset: Some(ruleset),
        ..server
    })
}

//! The first server of children outside a session.
//!
//! It gives up nothing: a child confines itself, and under a root host changes its user before that. Only
//! the host can send it requests.

use super::confine::child_ruleset;
use super::descriptor::Descriptor;
use super::mount;
use super::serve;
use super::server::Server;
use super::socket;
use super::start::block_signals;
use capspawn_raw::attributes;
use capspawn_raw::confine::{close_on_exec, no_new_privileges};
use capspawn_raw::syscall::exit;
use capspawn_raw::wire::Report;

/// The right to move a file to another directory, which a domain denies unless it allows it.
const REFER: u64 = 1 << 13;
/// The scope of signals.
const SIGNAL: u64 = 2;

/// Serves. A server that could not start ends, which closes its socket.
pub(crate) fn run(control: i32, announcements: i32, number: u32) -> ! {
    let (control, announcements) = (Descriptor(control), Descriptor(announcements));
    // The children inherit both, and the attributes.
    let is_ready = close_on_exec()
        .and_then(|()| block_signals())
        .and_then(|()| no_new_privileges());
    attributes::reset();
    let ruleset = is_ready.and_then(|()| {
        let root = mount::inside(c"/", true, mount::NO_PASS)?;
        child_ruleset([REFER, 0, SIGNAL], &root, REFER)
    });
    let server = ruleset.and_then(|ruleset| {
        let server = Server::new([0; 2], &control, &announcements, number)?;
        Ok(Server {
            child_ruleset: Some(ruleset),
            ..server
        })
    });
    let Ok(mut server) = server else { exit(1) };
    if socket::send(&control, &Report::Ready { pid_1: 0 }, None).is_err() {
        exit(0);
    }
    serve::serve(&mut server)
}

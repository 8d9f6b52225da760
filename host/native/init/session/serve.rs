//! The server's loop: one request, one child, one reply.
//!
//! The server makes each child a child of the host (`CLONE_PARENT`) in the namespaces of
//! pid 1. So the host itself waits for the child, signals it and reaps it, as it does for one
//! that it has cloned: no process stands between a child's end and the host. The kernel
//! refuses that flag to a pid 1, which is why the server is another process, outside of the
//! pid namespace. From inside it has no pid, so that no child can signal it.

use super::descriptor::{Descriptor, memory};
use super::domain;
use super::fork;
use super::schedule::Schedule;
use super::server::Server;
use super::socket::{self, MAX_DESCRIPTORS};
use super::spawn;
use super::state;
use capspawn_raw::wire::{MAX_DATAGRAM, Report, ServerRequest};

const EINTR: i32 = 4;

/// Serves until the control socket ends.
pub(super) fn serve(server: &mut Server<'_>) -> ! {
    let Ok(datagram) = room() else {
        domain::end(server, 1)
    };
    let schedule = Schedule::new();
    loop {
        schedule.idle();
        let mut descriptors = [const { None }; MAX_DESCRIPTORS];
        let count = match socket::receive(server.control, datagram, &mut descriptors) {
            Ok(0) => domain::end(server, 0),
            Ok(count) => count,
            Err(EINTR) => continue,
            // Too large, or too many descriptors: exiting reports the failure to the host.
            Err(_) => domain::end(server, 1),
        };
        match ServerRequest::read(datagram.get(..count).unwrap_or(&[])) {
            Some(ServerRequest::Spawn(request)) => {
                schedule.serve();
                spawn::spawn(server, &request, descriptors);
            }
            Some(ServerRequest::StartServer { has_domain, number }) => {
                // The new server finds the policy out from its own.
                schedule.serve();
                start_server(server, has_domain, number, descriptors);
            }
            Some(ServerRequest::SignalDomain(signal)) => domain::signal(server, signal as usize),
            Some(ServerRequest::FindState) => report_state(server, descriptors),
            None => domain::end(server, 1),
        }
    }
}

/// Returns memory for one datagram, of which only the pages that are written to are made. An array on the stack would
/// be zeroed, all of it in each server.
fn room<'mapped>() -> Result<&'mapped mut [u8], i32> {
    let room = core::ptr::with_exposed_provenance_mut(memory(MAX_DATAGRAM)?);
    // SAFETY: `memory` has mapped as many bytes, zeroed and for good, and nothing else refers to them.
    Ok(unsafe { core::slice::from_raw_parts_mut(room, MAX_DATAGRAM) })
}

/// Reports whether children have left anything, on the socket that came along.
fn report_state(server: &Server<'_>, descriptors: [Option<Descriptor>; MAX_DESCRIPTORS]) {
    if let Some(reply) = descriptors.into_iter().flatten().next() {
        let found = state::is_found(server.files.as_ref(), server.filter_pass);
        let _ = socket::send(&reply, &Report::State { found }, None);
    }
}

/// Starts another server, which serves at the socket that came along.
fn start_server(
    server: &mut Server<'_>,
    has_domain: bool,
    number: u32,
    descriptors: [Option<Descriptor>; MAX_DESCRIPTORS],
) {
    let Some(control) = descriptors.into_iter().flatten().next() else {
        // The socket for the reply is unknown: exiting reports the failure to the host.
        domain::end(server, 1)
    };
    if let Some(started) = fork::server(server, has_domain, &control) {
        serve(&mut Server { number, ..started });
    }
}

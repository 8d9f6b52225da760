//! Sockets: whom a child can reach, for each network.

use capspawn_native::sandbox::{Network, Tier};

use crate::support::{Spec, probe, tier};
use crate::table::Answer::{Open, Refused};
use crate::table::{Attack, Bare, holds, row};
use crate::verdict::{EPERM, admitted, refused};

const EAFNOSUPPORT: i32 = 97;
const ECONNREFUSED: i32 = 111;
const CLOSED: crate::table::Answer = Refused(EPERM);

#[rustfmt::skip]
const WITHOUT_A_NETWORK: &[Attack] = &[
    row("TCP", |w| w.at("tcp", w.tcp.to_string()), CLOSED, CLOSED),
    // The first packet of a connection with data in it, which Landlock does not see.
    row("TCP fast open", |w| w.at("fast-open", w.tcp.port().to_string()), CLOSED, CLOSED),
    row("UDP", |w| w.at("udp", w.udp.to_string()), CLOSED, CLOSED),
    row("listen without bind", |w| w.probe("listen"), CLOSED, CLOSED),
    row("IPv6", |w| w.probe("inet6"), CLOSED, CLOSED),
    row("MPTCP", |w| w.probe("mptcp"), CLOSED, CLOSED),
    row("netlink", |w| w.probe("netlink"), CLOSED, CLOSED),
    row("any family", |w| w.probe("any-socket"), CLOSED, CLOSED),
    row("VSOCK", |w| w.probe("vsock"), CLOSED, CLOSED).bare(Bare::WorksUnless(&[EAFNOSUPPORT])),
    row("UNIX, outside", |w| w.at("unix", &w.stream[1]), CLOSED, CLOSED),
    row("UNIX, in a granted root", |w| w.at("unix", &w.stream[0]), CLOSED, CLOSED),
    row("UNIX datagram of a pair, outside", |w| w.at("unix-datagram-pair", &w.datagram[1]), CLOSED, CLOSED),
    row("UNIX datagram of a pair, in a granted root", |w| w.at("unix-datagram-pair", &w.datagram[0]), CLOSED, CLOSED),
    row("UNIX, abstract", |w| w.at("abstract", &w.name), CLOSED, CLOSED),
];

/// In a session; in tier B, which has none to give, such a grant is refused, and the filter is that of no network.
#[rustfmt::skip]
const WITH_ITS_OWN_LOOPBACK: &[Attack] = &[
    row("TCP of the host", |w| own(w.at("tcp", w.tcp.to_string())), Refused(ECONNREFUSED), CLOSED),
    row("fast open to the host", |w| own(w.at("fast-open", w.tcp.port().to_string())), Refused(ECONNREFUSED), CLOSED),
    row("loopback: UNIX, in a granted root", |w| own(w.at("unix", &w.stream[0])), CLOSED, CLOSED),
    row("loopback: UNIX, outside", |w| own(w.at("unix", &w.stream[1])), CLOSED, CLOSED),
    row("loopback: UNIX datagram of a pair", |w| own(w.at("unix-datagram-pair", &w.datagram[0])), CLOSED, CLOSED),
    row("loopback: UNIX, abstract", |w| own(w.at("abstract", &w.name)), CLOSED, CLOSED),
    row("loopback: VSOCK", |w| own(w.probe("vsock")), CLOSED, CLOSED).bare(Bare::WorksUnless(&[EAFNOSUPPORT])),
];

/// With the host's network what has no path of its own stays closed, and so does what lies outside the roots.
#[rustfmt::skip]
const WITH_THE_HOSTS: &[Attack] = &[
    row("host: UNIX, abstract", |w| hosts(w.at("abstract", &w.name)), CLOSED, CLOSED),
    row("host: VSOCK", |w| hosts(w.probe("vsock")), CLOSED, CLOSED).bare(Bare::WorksUnless(&[EAFNOSUPPORT])),
    row("host: UNIX, outside", |w| hosts(w.at("unix", &w.stream[1])), Refused(libc::ENOENT), Open),
];

fn own(spec: Spec) -> Spec {
    spec.network(Network::Loopback)
}

fn hosts(spec: Spec) -> Spec {
    spec.network(Network::Host)
}

#[test]
fn without_a_network_no_socket_reaches_anything() {
    holds(WITHOUT_A_NETWORK, &[|w| w.probe("socketpair")]);
}

#[test]
fn a_loopback_interface_of_its_own_leads_nowhere_else() {
    holds(WITH_ITS_OWN_LOOPBACK, &[|w| own(w.probe("socketpair"))]);
    // What the session serves there it can reach.
    let server = own(probe("serve"));
    match tier() {
        Tier::A => admitted(&server),
        _ => refused(&server, EPERM),
    }
}

#[test]
fn the_hosts_network_is_what_is_opened_and_no_more() {
    holds(
        WITH_THE_HOSTS,
        &[
            |w| hosts(w.at("tcp", w.tcp.to_string())),
            |w| hosts(w.at("fast-open", w.tcp.port().to_string())),
            |w| hosts(w.at("udp", w.udp.to_string())),
            |w| hosts(w.at("unix", &w.stream[0])),
            |w| hosts(w.probe("serve")),
        ],
    );
}

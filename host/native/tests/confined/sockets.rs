//! Sockets: what a child reaches, for each network that a grant can give.

use std::io::{self, Read as _, Write as _};
use std::mem::size_of_val;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixStream};

use capspawn_native::sandbox::Network;
use libc::{EAFNOSUPPORT, ECONNREFUSED, ENOBUFS, ENOENT, EPERM};

use crate::attempt::Target;
use crate::fixture::Fixture;
use crate::spec::Spec;
use crate::syscall::{Buffer, bits, call, owned, raw};
use crate::table::Expected::{self, Fails, Succeeds};
use crate::table::{Row, Unconfined, assert_table, permitted, row, unaimed};

/// The error of a call that the filter refuses.
const FILTERED: Expected = Fails(EPERM);
const IF_SUPPORTED: Unconfined = Unconfined::SucceedsOr(|| &[EAFNOSUPPORT]);

#[rustfmt::skip]
pub(crate) const NO_NETWORK: &[Row] = &[
    row("no network: TCP", connect_tcp, tcp, FILTERED, FILTERED),
    // The connection's first packet carries data, and Landlock does not see the call.
    row("no network: TCP fast open", fast_open, tcp_port, FILTERED, FILTERED),
    row("no network: UDP", send_udp, udp, FILTERED, FILTERED),
    row("no network: listen without bind", listen, unaimed, FILTERED, FILTERED),
    row("no network: IPv6", make_ipv6, unaimed, FILTERED, FILTERED),
    row("no network: MPTCP", make_mptcp, unaimed, FILTERED, FILTERED),
    row("no network: netlink", make_other_netlink, unaimed, FILTERED, FILTERED),
    // In a session it shows the session's own network namespace.
    row("no network: the interfaces, by netlink", make_netlink, unaimed, Succeeds, FILTERED),
    row("no network: a name for an end of a pair, which listens", listen_on_pair, unaimed, FILTERED, FILTERED).unconfined(Unconfined::NotRun),
    row("no network: any family", make_any, unaimed, FILTERED, FILTERED),
    row("no network: VSOCK", make_vsock, unaimed, FILTERED, FILTERED).unconfined(IF_SUPPORTED),
    row("no network: UNIX outside", connect_unix, stream_outside, FILTERED, FILTERED),
    row("no network: UNIX inside", connect_unix, stream_inside, FILTERED, FILTERED),
    row("no network: datagram of a pair, outside", send_from_pair, datagram_outside, FILTERED, FILTERED),
    row("no network: datagram of a pair, inside", send_from_pair, datagram_inside, FILTERED, FILTERED),
    row("no network: abstract UNIX", connect_abstract, abstract_name, FILTERED, FILTERED),
    row("no network: the interfaces, from a pair", list_interfaces, unaimed, FILTERED, FILTERED),
    row("no network: a larger send buffer of a pair", raise_send_buffer, unaimed, Fails(ENOBUFS), Fails(ENOBUFS)),
    row("no network: a larger receive buffer of a pair", raise_receive_buffer, unaimed, Fails(ENOBUFS), Fails(ENOBUFS)),
    permitted("no network: a socket pair", make_pair, unaimed),
    permitted("no network: how much waits in a pair", ask_for_waiting, unaimed),
];

/// A session has a loopback interface of its own. Tier B has none to give: it
/// does not enforce such a grant, and its filter is that of no network.
#[rustfmt::skip]
pub(crate) const OWN_LOOPBACK: &[Row] = &[
    row("loopback: the host's TCP", connect_tcp, |f, c| own(tcp(f, c)), Fails(ECONNREFUSED), FILTERED),
    row("loopback: the host's TCP, fast open", fast_open, |f, c| own(tcp_port(f, c)), Fails(ECONNREFUSED), FILTERED),
    row("loopback: UNIX inside", connect_unix, |f, c| own(stream_inside(f, c)), FILTERED, FILTERED),
    row("loopback: UNIX outside", connect_unix, |f, c| own(stream_outside(f, c)), FILTERED, FILTERED),
    row("loopback: datagram of a pair, inside", send_from_pair, |f, c| own(datagram_inside(f, c)), FILTERED, FILTERED),
    row("loopback: abstract UNIX", connect_abstract, |f, c| own(abstract_name(f, c)), FILTERED, FILTERED),
    row("loopback: VSOCK", make_vsock, |_, c| own(c), FILTERED, FILTERED).unconfined(IF_SUPPORTED),
    row("loopback: serve and connect", serve, |_, c| own(c), Succeeds, FILTERED),
    permitted("loopback: a socket pair", make_pair, |_, c| own(c)),
];

/// The host's network opens sockets that have an address in it or a path inside
/// the roots, and no others.
#[rustfmt::skip]
pub(crate) const HOST_NETWORK: &[Row] = &[
    row("host network: abstract UNIX", connect_abstract, |f, c| hosts(abstract_name(f, c)), FILTERED, FILTERED).without_scopes(Succeeds),
    row("host network: VSOCK", make_vsock, |_, c| hosts(c), FILTERED, FILTERED).unconfined(IF_SUPPORTED),
    row("host network: UNIX outside", connect_unix, |f, c| hosts(stream_outside(f, c)), Fails(ENOENT), Succeeds),
    permitted("host network: TCP", connect_tcp, |f, c| hosts(tcp(f, c))),
    permitted("host network: TCP fast open", fast_open, |f, c| hosts(tcp_port(f, c))),
    permitted("host network: UDP", send_udp, |f, c| hosts(udp(f, c))),
    permitted("host network: UNIX inside", connect_unix, |f, c| hosts(stream_inside(f, c))),
    permitted("host network: serve and connect", serve, |_, c| hosts(c)),
];

fn own(child: Spec) -> Spec {
    child.network(Network::Loopback)
}

fn hosts(child: Spec) -> Spec {
    child.network(Network::Host)
}

fn tcp(fixture: &Fixture, child: Spec) -> Spec {
    child.at(fixture.tcp)
}

fn tcp_port(fixture: &Fixture, child: Spec) -> Spec {
    child.at(fixture.tcp.port())
}

fn udp(fixture: &Fixture, child: Spec) -> Spec {
    child.at(fixture.udp)
}

fn stream_inside(fixture: &Fixture, child: Spec) -> Spec {
    child.at(fixture.stream_inside.display())
}

fn stream_outside(fixture: &Fixture, child: Spec) -> Spec {
    child.at(fixture.stream_outside.display())
}

fn datagram_inside(fixture: &Fixture, child: Spec) -> Spec {
    child.at(fixture.datagram_inside.display())
}

fn datagram_outside(fixture: &Fixture, child: Spec) -> Spec {
    child.at(fixture.datagram_outside.display())
}

fn abstract_name(fixture: &Fixture, child: Spec) -> Spec {
    child.at(&fixture.abstract_name)
}

pub(crate) fn connect_tcp(target: &Target) -> io::Result<()> {
    TcpStream::connect(&target.text).map(drop)
}

/// Connects by sending the first data, without `connect(2)`.
fn fast_open(target: &Target) -> io::Result<()> {
    let socket = socket(libc::AF_INET, libc::SOCK_STREAM, 0)?;
    let port = u16::try_from(target.number()).expect("the test sets a port");
    let address = libc::sockaddr_in {
        sin_family: libc::AF_INET.try_into().expect("it is a small number"),
        sin_port: port.to_be(),
        sin_addr: libc::in_addr {
            s_addr: u32::from_ne_bytes([127, 0, 0, 1]),
        },
        sin_zero: [0; 8],
    };
    let data = c"x".as_ptr().addr();
    let flags = bits(libc::MSG_FASTOPEN);
    let (address, length) = ((&raw const address).addr(), size_of_val(&address));
    call(
        libc::SYS_sendto,
        [raw(&socket), data, 1, flags, address, length],
    )
    .map(drop)
}

fn send_udp(target: &Target) -> io::Result<()> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.send_to(b"x", &target.text).map(drop)
}

fn listen(_: &Target) -> io::Result<()> {
    let socket = socket(libc::AF_INET, libc::SOCK_STREAM, 0)?;
    call(libc::SYS_listen, [raw(&socket), 1, 0, 0, 0, 0]).map(drop)
}

fn connect_unix(target: &Target) -> io::Result<()> {
    UnixStream::connect(&target.text).map(drop)
}

// Of type usize, as arguments are; libc has them as u64.
const SIOCGIFCONF: usize = 0x8912;
const SIOCOUTQ: usize = 0x5411;
const SIOCINQ: usize = 0x541b;

/// The names and addresses of the network namespace's interfaces.
fn list_interfaces(_: &Target) -> io::Result<()> {
    let (socket, _peer) = UnixStream::pair()?;
    let mut addresses = Buffer::new();
    // A `struct ifconf`: the length of the room, and where it is.
    let mut request = [256, addresses.address()];
    let address = (&raw mut request).addr();
    let request = SIOCGIFCONF;
    call(
        libc::SYS_ioctl,
        [raw(&socket.into()), request, address, 0, 0, 0],
    )
    .map(drop)
}

fn raise_send_buffer(_: &Target) -> io::Result<()> {
    raise_buffer(libc::SO_SNDBUF)
}

fn raise_receive_buffer(_: &Target) -> io::Result<()> {
    raise_buffer(libc::SO_RCVBUF)
}

/// Succeeds if the buffer is larger afterwards: the kernel reports success even if it keeps a size.
fn raise_buffer(option: i32) -> io::Result<()> {
    let (socket, _peer) = UnixStream::pair()?;
    let socket = OwnedFd::from(socket);
    let size = || -> io::Result<u64> {
        let mut size = Buffer::new();
        let mut length = 4u32;
        let length = (&raw mut length).addr();
        let (level, option) = (bits(libc::SOL_SOCKET), bits(option));
        let args = [raw(&socket), level, option, size.address(), length, 0];
        call(libc::SYS_getsockopt, args)?;
        Ok(size.first())
    };
    let before = size()?;
    let wanted = i32::MAX / 4;
    let wanted = (&raw const wanted).addr();
    let (level, option) = (bits(libc::SOL_SOCKET), bits(option));
    call(
        libc::SYS_setsockopt,
        [raw(&socket), level, option, wanted, 4, 0],
    )?;
    if size()? > before {
        return Ok(());
    }
    Err(io::Error::from_raw_os_error(ENOBUFS))
}

/// The two requests have the numbers of a terminal's (`TIOCOUTQ`, `FIONREAD`).
fn ask_for_waiting(_: &Target) -> io::Result<()> {
    let (mut one, other) = UnixStream::pair()?;
    one.write_all(b"four")?;
    let (one, other) = (OwnedFd::from(one), OwnedFd::from(other));
    for (socket, request) in [(&one, SIOCOUTQ), (&other, SIOCINQ)] {
        let mut count = Buffer::new();
        call(
            libc::SYS_ioctl,
            [raw(socket), request, count.address(), 0, 0, 0],
        )?;
        if count.first() == 0 {
            return Err(io::Error::other("nothing waits"));
        }
    }
    Ok(())
}

fn connect_abstract(target: &Target) -> io::Result<()> {
    let address = SocketAddr::from_abstract_name(&target.text)?;
    UnixStream::connect_addr(&address).map(drop)
}

/// A datagram socket of a pair needs no `connect(2)` to send elsewhere.
fn send_from_pair(target: &Target) -> io::Result<()> {
    let (one, _other) = UnixDatagram::pair()?;
    one.send_to(b"x", &target.text).map(drop)
}

fn make_pair(_: &Target) -> io::Result<()> {
    UnixStream::pair().map(drop)
}

fn make_ipv6(_: &Target) -> io::Result<()> {
    socket(libc::AF_INET6, libc::SOCK_STREAM, 0).map(drop)
}

fn make_mptcp(_: &Target) -> io::Result<()> {
    socket(libc::AF_INET, libc::SOCK_STREAM, libc::IPPROTO_MPTCP).map(drop)
}

/// The socket family by which processes learn of each other's start (`CN_IDX_PROC`).
fn make_other_netlink(_: &Target) -> io::Result<()> {
    socket(libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_CONNECTOR).map(drop)
}

/// The name has the length of a netlink address, which the filter lets pass in a session.
fn listen_on_pair(_: &Target) -> io::Result<()> {
    let (end, _other) = UnixStream::pair()?;
    let mut address = [0u8; 12];
    address[..2].copy_from_slice(&1u16.to_ne_bytes());
    address[2..].copy_from_slice(b"\0abcdefghi");
    let end = OwnedFd::from(end);
    let named = call(
        libc::SYS_bind,
        [
            raw(&end),
            (&raw const address).addr(),
            address.len(),
            0,
            0,
            0,
        ],
    );
    named
        .and(
            call(libc::SYS_listen, [raw(&end), 1, 0, 0, 0, 0])
                .map(drop)
                .map(|()| 0),
        )
        .map(drop)
}

fn make_netlink(_: &Target) -> io::Result<()> {
    socket(libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_ROUTE).map(drop)
}

fn make_vsock(_: &Target) -> io::Result<()> {
    socket(libc::AF_VSOCK, libc::SOCK_STREAM, 0).map(drop)
}

/// Tries every family and type. It fails with the error of the filter if that
/// refuses all of them, and with the kernel's if one passes the filter.
fn make_any(_: &Target) -> io::Result<()> {
    // The crate marks its constant of this obsolete type as deprecated.
    const SOCK_PACKET: i32 = 10;
    let types = [
        libc::SOCK_STREAM,
        libc::SOCK_DGRAM,
        libc::SOCK_RAW,
        libc::SOCK_SEQPACKET,
        SOCK_PACKET,
    ];
    let mut refusal = io::Error::from_raw_os_error(EPERM);
    // The attempt by netlink is one of its own.
    for family in (0..64).filter(|family| *family != libc::AF_NETLINK) {
        for kind in types {
            match socket(family, kind, 0) {
                Ok(_) => return Ok(()),
                Err(error) if error.raw_os_error() == Some(EPERM) => {}
                Err(error) => {
                    println!("family {family}, type {kind}: {error}");
                    refusal = error;
                }
            }
        }
    }
    Err(refusal)
}

fn socket(family: i32, kind: i32, protocol: i32) -> io::Result<OwnedFd> {
    let arguments = [bits(family), bits(kind), bits(protocol), 0, 0, 0];
    call(libc::SYS_socket, arguments).map(owned)
}

/// Serves on the loopback interface and connects to itself.
fn serve(_: &Target) -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut client = TcpStream::connect(listener.local_addr()?)?;
    client.write_all(b"x")?;
    listener.accept()?.0.read_exact(&mut [0])
}

#[test]
fn without_a_network_a_child_reaches_no_socket() {
    assert_table(NO_NETWORK);
}

#[test]
fn with_a_loopback_of_its_own_a_child_reaches_only_its_session() {
    assert_table(OWN_LOOPBACK);
}

#[test]
fn with_the_hosts_network_a_child_reaches_addresses_and_paths_inside_its_roots() {
    assert_table(HOST_NETWORK);
}

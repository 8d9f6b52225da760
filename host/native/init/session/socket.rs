//! Sockets of the session: datagrams with descriptors, and one-byte notifications.

use super::descriptor::Descriptor;
use capspawn_raw::syscall::{call, number};
use capspawn_raw::wire::{Report, SPAWN_DESCRIPTORS};

const MSG_DONTWAIT: usize = 0x40;
const MSG_NOSIGNAL: usize = 0x4000;
const MSG_CMSG_CLOEXEC: usize = 0x4000_0000;
const MSG_TRUNC: usize = 0x20;
const MSG_CTRUNC: usize = 0x8;
const SOL_SOCKET: u64 = 1;
const SCM_RIGHTS: u64 = 1;
/// The bytes of a `struct cmsghdr`.
const HEADER: usize = 16;
const EMSGSIZE: i32 = 90;

/// The most descriptors of a datagram.
pub(super) const MAX_DESCRIPTORS: usize = SPAWN_DESCRIPTORS;

/// Makes two connected sockets that keep message boundaries.
pub(super) fn pair() -> Result<[Descriptor; 2], i32> {
    const AF_UNIX: usize = 1;
    const SOCK_SEQPACKET_CLOEXEC: usize = 0o2_000_005;
    let mut ends = [-1i32; 2];
    let room = (&raw mut ends).expose_provenance();
    let args = [AF_UNIX, SOCK_SEQPACKET_CLOEXEC, 0, room, 0, 0];
    // SAFETY: the kernel stores two descriptors in `ends`.
    unsafe { call(number::SOCKETPAIR, args)? };
    Ok(ends.map(Descriptor))
}

/// Notifies the process at the other end, with one byte.
pub(super) fn notify(socket: &Descriptor) -> Result<(), i32> {
    let args = [
        socket.arg(),
        c"1".as_ptr().expose_provenance(),
        1,
        MSG_NOSIGNAL,
        0,
        0,
    ];
    // SAFETY: the kernel reads one byte of the string.
    unsafe { call(number::SENDTO, args) }.map(drop)
}

/// Waits until the process at the other end notifies this one; `false` if it has ended.
pub(super) fn await_peer(socket: &Descriptor) -> bool {
    let mut byte = 0u8;
    let args = [
        socket.arg(),
        (&raw mut byte).expose_provenance(),
        1,
        0,
        0,
        0,
    ];
    // Every signal is blocked, so that none interrupts the call.
    // SAFETY: the kernel stores at most one byte, in `byte`.
    let read = unsafe { call(number::READ, args) };
    read == Ok(1)
}

/// Sends `report`, with the descriptor `pass` if there is one. Never waits: a reader that has
/// left the socket full has given up.
pub(super) fn send(
    socket: &Descriptor,
    report: &Report,
    pass: Option<&Descriptor>,
) -> Result<(), i32> {
    let bytes = report.to_bytes();
    let part = [bytes.as_ptr().expose_provenance(), bytes.len()];
    let number = pass.map_or(0, |fd| fd.arg() as u64);
    let control = [HEADER as u64 + 4, SCM_RIGHTS << 32 | SOL_SOCKET, number];
    let room = if pass.is_some() {
        size_of_val(&control)
    } else {
        0
    };
    // A `struct msghdr`: no address, one part, the control message, no flags.
    let header = [
        0,
        0,
        (&raw const part).expose_provenance(),
        1,
        (&raw const control).expose_provenance(),
        room,
        0,
    ];
    let flags = MSG_DONTWAIT | MSG_NOSIGNAL;
    let args = [
        socket.arg(),
        (&raw const header).expose_provenance(),
        flags,
        0,
        0,
        0,
    ];
    // SAFETY: the kernel reads a `struct msghdr` with one part and at most one control message, all of them local.
    unsafe { call(number::SENDMSG, args) }.map(drop)
}

/// Receives a datagram and returns its length; 0 is the end of the socket. Descriptors that came
/// along fill `descriptors` from its start.
pub(super) fn receive(
    socket: &Descriptor,
    bytes: &mut [u8],
    descriptors: &mut [Option<Descriptor>; MAX_DESCRIPTORS],
) -> Result<usize, i32> {
    let part = [bytes.as_mut_ptr().expose_provenance(), bytes.len()];
    let mut control = [0u64; 2 + MAX_DESCRIPTORS.div_ceil(2)];
    let room = size_of_val(&control);
    let mut header = [
        0,
        0,
        (&raw const part).expose_provenance(),
        1,
        (&raw mut control).expose_provenance(),
        room,
        0,
    ];
    let args = [
        socket.arg(),
        (&raw mut header).expose_provenance(),
        MSG_CMSG_CLOEXEC,
        0,
        0,
        0,
    ];
    // SAFETY: the kernel stores into a `struct msghdr` with one part and room for control messages, all of them
    // writable and as long as it says.
    let count = unsafe { call(number::RECVMSG, args)? };
    let [_, _, _, _, _, used, flags] = header;
    let [length, kind, numbers @ ..] = control;
    if used >= HEADER && kind == SCM_RIGHTS << 32 | SOL_SOCKET {
        let passed = (length as usize).saturating_sub(HEADER) / 4;
        let numbers = numbers
            .iter()
            .flat_map(|pair| [*pair as i32, (*pair >> 32) as i32]);
        for (slot, number) in descriptors.iter_mut().zip(numbers.take(passed)) {
            *slot = Some(Descriptor(number));
        }
    }
    if flags & (MSG_TRUNC | MSG_CTRUNC) != 0 {
        return Err(EMSGSIZE);
    }
    Ok(count)
}

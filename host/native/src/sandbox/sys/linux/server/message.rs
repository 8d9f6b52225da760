//! Messages from the processes of a session and from its children.

use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;

use capspawn_raw::wire::{REPORT_BYTES, Report};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::retry_on_intr;
use rustix::net::sockopt::Timeout;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SocketFlags, SocketType,
    recvmsg, socketpair,
};
use rustix::process::Pid;

use crate::sandbox::sys::linux::deadline::retry_in_time;
use crate::sandbox::sys::linux::fd::stdio::above_stdio;

/// Returns a connected pair of sockets that keep message boundaries. Both numbers are above the
/// standard streams, also in a host that has closed its own.
pub(crate) fn socket_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let kind = SocketType::SEQPACKET;
    let (ours, theirs) = socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None)?;
    Ok((above_stdio(ours)?, above_stdio(theirs)?))
}

/// A message.
pub(crate) struct Message {
    /// None where the message is no report, and at the end of the stream.
    pub(crate) report: Option<Report>,
    /// The number of the sender's session, where the message is an announcement.
    pub(crate) session: Option<u32>,
    pub(crate) descriptor: Option<OwnedFd>,
    /// The sender's pid as the kernel attests it, on a socket with `SO_PASSCRED`.
    pub(crate) sender: Option<Pid>,
}

/// Waits for a message, as long as the socket's timeout or `flags` allow.
pub(crate) fn receive(socket: &OwnedFd, flags: RecvFlags) -> io::Result<Message> {
    const ROOM: usize = rustix::cmsg_space!(ScmRights(1), ScmCredentials(1));
    let mut bytes = [0; REPORT_BYTES];
    let mut room = [const { MaybeUninit::uninit() }; ROOM];
    let mut ancillary = RecvAncillaryBuffer::new(&mut room);
    let flags = flags | RecvFlags::CMSG_CLOEXEC;
    let received = retry_in_time(socket, Timeout::Recv, || {
        let mut parts = [IoSliceMut::new(&mut bytes)];
        recvmsg(socket, &mut parts, &mut ancillary, flags)
    })?;
    let received = bytes.get(..received.bytes).unwrap_or(&[]);
    let mut message = Message {
        report: Report::read(received),
        session: received.try_into().ok().map(u32::from_ne_bytes),
        descriptor: None,
        sender: None,
    };
    for part in ancillary.drain() {
        match part {
            RecvAncillaryMessage::ScmRights(mut descriptors) => {
                message.descriptor = descriptors.next();
            }
            RecvAncillaryMessage::ScmCredentials(sender) => message.sender = Some(sender.pid),
            _ => {}
        }
    }
    Ok(message)
}

/// Returns whether a descriptor has one of its events, or has lost its other end. One `poll(2)`
/// for all of them, which does not wait.
pub(crate) fn any_ready<const N: usize>(fds: [(&OwnedFd, PollFlags); N]) -> bool {
    let now = Timespec::default();
    let mut fds = fds.map(|(fd, events)| PollFd::new(fd, events));
    // A signal to the host interrupts even a poll that does not wait.
    let ready = retry_on_intr(|| poll(&mut fds, Some(&now)));
    ready.is_ok_and(|ready| ready > 0)
}

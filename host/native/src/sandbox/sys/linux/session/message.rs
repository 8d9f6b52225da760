//! Messages of a session's processes and of its children.

use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;

use capspawn_raw::wire::{REPORT_BYTES, Report};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, retry_on_intr};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SocketFlags, SocketType,
    recvmsg, socketpair,
};
use rustix::process::Pid;

use crate::sandbox::sys::linux::fd::stdio::above_stdio;

/// Two ends that keep messages apart. A host may have closed its standard streams.
pub(crate) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let kind = SocketType::SEQPACKET;
    let (ours, theirs) = socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None)?;
    Ok((above_stdio(ours)?, above_stdio(theirs)?))
}

/// A message.
pub(crate) struct Message {
    /// None where it is no report, or the end.
    pub(crate) report: Option<Report>,
    pub(crate) descriptor: Option<OwnedFd>,
    /// The kernel's word, where the socket asks for it.
    pub(crate) sender: Option<Pid>,
}

/// Waits for a message, as long as the socket's bound or `flags` allow.
pub(crate) fn receive(socket: &OwnedFd, flags: RecvFlags) -> io::Result<Message> {
    const ROOM: usize = rustix::cmsg_space!(ScmRights(1), ScmCredentials(1));
    let mut bytes = [0; REPORT_BYTES];
    let mut room = [const { MaybeUninit::uninit() }; ROOM];
    let mut ancillary = RecvAncillaryBuffer::new(&mut room);
    let received = loop {
        let mut parts = [IoSliceMut::new(&mut bytes)];
        match recvmsg(
            socket,
            &mut parts,
            &mut ancillary,
            flags | RecvFlags::CMSG_CLOEXEC,
        ) {
            Err(Errno::INTR) => {}
            received => break received?,
        }
    };
    let mut message = Message {
        report: Report::read(bytes.get(..received.bytes).unwrap_or(&[])),
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

/// Whether one of `events` or the end of the other side has come.
pub(crate) fn is_ready(fd: &OwnedFd, events: PollFlags) -> bool {
    let now = Timespec::default();
    // A signal to the host interrupts even a look.
    let ready = retry_on_intr(|| poll(&mut [PollFd::new(fd, events)], Some(&now)));
    ready.is_ok_and(|ready| ready > 0)
}

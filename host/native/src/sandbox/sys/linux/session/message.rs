//! Messages of a session's processes and of its children.

use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SocketFlags, SocketType,
    recvmsg, socketpair,
};
use rustix::process::Pid;

use super::super::descriptors::raised;
use super::wire::{REPORT_BYTES, Report};

/// Two ends that keep messages apart. A host may have closed its standard streams.
pub(super) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let kind = SocketType::SEQPACKET;
    let (ours, theirs) = socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None)?;
    Ok((raised(ours)?, raised(theirs)?))
}

/// A message.
pub(super) struct Message {
    /// None where it is no report, or the end.
    pub(super) report: Option<Report>,
    pub(super) descriptor: Option<OwnedFd>,
    /// The kernel's word, where the socket asks for it.
    pub(super) sender: Option<Pid>,
}

/// Waits for a message, as long as the socket's bound or `flags` allow.
pub(super) fn receive(socket: &OwnedFd, flags: RecvFlags) -> io::Result<Message> {
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

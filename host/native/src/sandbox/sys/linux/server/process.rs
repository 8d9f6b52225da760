//! One server of a session, and the requests to it.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};

use capspawn_raw::affinity::Affinity;
use capspawn_raw::wire::ServerRequest;
use rustix::event::PollFlags;
use rustix::net::sockopt::Timeout;
use rustix::net::{
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, Shutdown, sendmsg, shutdown,
};
use rustix::process::Pid;

use super::affinity::ServerProcessor;
use super::announcements::Announcements;
use super::message::any_ready;
use super::reply::Reply;
use super::request::Request;
use crate::sandbox::sys::linux::deadline::retry_in_time;
use crate::sandbox::sys::linux::signal::raw;
use crate::status::Signal;

/// A process that starts children, one request at a time. It ends when its socket is closed.
#[derive(Debug)]
pub(crate) struct Server {
    control: OwnedFd,
    pid: Pid,
    /// The number with which its children announce themselves.
    number: u32,
    processor: ServerProcessor,
}

impl Server {
    /// Returns the server `pid`, a child of the host, which serves at the other end of `control`, and whose children
    /// announce themselves with `number`.
    pub(crate) fn new(control: OwnedFd, pid: Pid, number: u32) -> Self {
        Self {
            control,
            pid,
            number,
            processor: ServerProcessor::unbound(),
        }
    }

    pub(crate) fn pid(&self) -> Pid {
        self.pid
    }

    pub(super) fn number(&self) -> u32 {
        self.number
    }

    /// Returns whether the process runs, or a child of it that is about to execute.
    pub(crate) fn runs(&self) -> bool {
        !any_ready([(&self.control, PollFlags::empty())])
    }

    /// Binds the server to the processor of the calling thread, and returns the affinity of that
    /// thread, for the child.
    pub(crate) fn follow_caller(&self) -> Option<Affinity> {
        self.processor.follow_caller(self.pid, || self.runs())
    }

    /// Sends a request. Returns a descriptor that keeps a number free for the one in the reply: a host
    /// that runs short of descriptors must find out before the program starts.
    pub(crate) fn request(&self, request: &Request<'_>) -> io::Result<OwnedFd> {
        let reserved = self.control.try_clone()?;
        request.send(&self.control).map_err(timed_out)?;
        Ok(reserved)
    }

    /// Waits for the reply to the request, which was sent.
    pub(super) fn reply(
        &self,
        reserved: OwnedFd,
        announcements: &Announcements,
    ) -> io::Result<Reply> {
        drop(reserved);
        Reply::receive(&self.control, announcements)
    }

    /// Sends `signal` to all processes in the server's domain: to the trees of its children.
    /// Does not wait until the server has done so; a later request is served after that.
    ///
    /// # Errors
    ///
    /// `EPIPE` if the server has ended.
    pub(crate) fn signal_domain(&self, signal: Signal) -> io::Result<()> {
        let number = raw(signal).as_raw();
        let request = ServerRequest::SignalDomain(number.unsigned_abs());
        send(&self.control, &request, &[], SendFlags::DONTWAIT)
    }

    #[cfg(test)]
    pub(crate) fn set_reply_timeout(&self, timeout: std::time::Duration) {
        use rustix::net::sockopt::{Timeout, set_socket_timeout};

        set_socket_timeout(&self.control, Timeout::Recv, Some(timeout)).expect("a timeout");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Not only closed: a process that the host has forked may hold a copy.
        let _ = shutdown(&self.control, Shutdown::Both);
    }
}

/// Returns the error of a call whose socket has a time-out: the kernel reports that as it reports a lack of
/// processes.
pub(crate) fn timed_out(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::WouldBlock => io::ErrorKind::TimedOut.into(),
        _ => error,
    }
}

/// Sends a request without strings, with at most one descriptor.
pub(crate) fn send(
    control: &OwnedFd,
    request: &ServerRequest<'_>,
    descriptors: &[BorrowedFd<'_>],
    flags: SendFlags,
) -> io::Result<()> {
    let mut bytes = Vec::new();
    request.write_head(|part| bytes.extend_from_slice(part));
    let mut room = [const { MaybeUninit::uninit() }; rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut room);
    if !descriptors.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(io::Error::from_raw_os_error(libc::EMSGSIZE));
    }
    let parts = [IoSlice::new(&bytes)];
    let flags = flags | SendFlags::NOSIGNAL;
    retry_in_time(control, Timeout::Send, || {
        sendmsg(control, &parts, &mut ancillary, flags)
    })?;
    Ok(())
}

//! The children that have announced themselves and that no reply has reported yet.
//!
//! The problem: a server that is killed before it replies leaves a child that only the
//! host can reap, and the host does not know its pid.
//!
//! The way chosen: each child sends a message before it leaves the server's process
//! group, and the kernel attaches the pid of the sender (`SCM_CREDENTIALS`). A reply
//! that reports the child removes its announcement. If the server is killed, the
//! remaining announcements name the children to reap.
//!
//! Rejected: announcing on the socket on which the host waits for the reply. The message
//! would wake the waiting thread too early, perhaps on another processor, which costs
//! the child 30 µs.

use std::io;
use std::os::fd::OwnedFd;

use parking_lot::Mutex;
use rustix::net::{RecvFlags, sockopt};
use rustix::process::Pid;

use super::message::{receive, socket_pair};

/// The host's end of the announcement socket, and what was read from it so far.
#[derive(Debug)]
pub(crate) struct Announcements {
    socket: OwnedFd,
    /// Announcements that were read before the reply about their child.
    unreported: Mutex<Vec<Pid>>,
}

impl Announcements {
    /// Returns the host's end, and the end of the server and its children.
    pub(crate) fn new() -> io::Result<(Self, OwnedFd)> {
        let (socket, theirs) = socket_pair()?;
        sockopt::set_socket_passcred(&socket, true)?;
        let unreported = Mutex::default();
        Ok((Self { socket, unreported }, theirs))
    }

    /// Settles the announcement of `pid`, which the server has reported.
    pub(crate) fn mark_reported(&self, pid: Pid) {
        let mut unreported = self.unreported.lock();
        loop {
            if let Some(index) = unreported.iter().position(|other| *other == pid) {
                unreported.swap_remove(index);
                return;
            }
            match self.next() {
                Some(other) => unreported.push(other),
                // The child failed before it could announce itself.
                None => return,
            }
        }
    }

    /// Returns the announced children that no reply has reported, and forgets them.
    /// To be called once the server and its process group have been killed.
    pub(crate) fn take_unreported(&self) -> Vec<Pid> {
        let mut unreported = std::mem::take(&mut *self.unreported.lock());
        unreported.extend(std::iter::from_fn(|| self.next()));
        unreported
    }

    /// Returns the next announcement in the socket, without waiting for one.
    fn next(&self) -> Option<Pid> {
        receive(&self.socket, RecvFlags::DONTWAIT).ok()?.sender
    }
}

#[cfg(test)]
#[expect(
    clippy::disallowed_types,
    reason = "the tests start processes of their own"
)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    /// Starts a process that announces itself and ends.
    fn announce(theirs: &OwnedFd) -> Pid {
        let mut echo = Command::new("/bin/echo");
        let theirs = theirs.try_clone().expect("a copy");
        let mut child = echo
            .stdin(Stdio::null())
            .stdout(theirs)
            .spawn()
            .expect("it starts");
        child.wait().expect("it ends");
        Pid::from_child(&child)
    }

    #[test]
    fn a_child_that_was_announced_and_not_reported_is_returned_once() {
        let (announcements, theirs) = Announcements::new().expect("a socket");
        assert_eq!(announcements.take_unreported(), []);
        let [first, second, third] = [(); 3].map(|()| announce(&theirs));
        // Reports come in any order, and also about a child that never announced itself.
        announcements.mark_reported(second);
        announcements.mark_reported(rustix::process::getpid());
        let fourth = announce(&theirs);
        announcements.mark_reported(first);
        let mut unreported = announcements.take_unreported();
        unreported.sort_by_key(|pid| pid.as_raw_pid());
        assert_eq!(unreported, [third, fourth]);
        assert_eq!(announcements.take_unreported(), []);
    }
}

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
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering};

use parking_lot::Mutex;
use rustix::net::{RecvFlags, sockopt};
use rustix::process::Pid;

use super::message::{receive, socket_pair};

/// The announcement socket of a launcher, and what was read from it so far. All sessions share it: they hold it
/// as long as their children may announce themselves, and each child sends the number of its session.
#[derive(Debug)]
pub(crate) struct Announcements {
    socket: OwnedFd,
    childrens_end: OwnedFd,
    /// The number of the last session, or of the last first server outside any session.
    last: AtomicU32,
    /// Announcements that were read before the reply about their child: its session and its pid.
    unreported: Mutex<Vec<(u32, Pid)>>,
}

impl Announcements {
    /// Makes the socket.
    pub(crate) fn new() -> io::Result<Self> {
        let (socket, childrens_end) = socket_pair()?;
        sockopt::set_socket_passcred(&socket, true)?;
        Ok(Self {
            socket,
            childrens_end,
            last: AtomicU32::new(0),
            unreported: Mutex::default(),
        })
    }

    /// Returns the end that servers and their children inherit.
    pub(crate) fn childrens_end(&self) -> BorrowedFd<'_> {
        self.childrens_end.as_fd()
    }

    /// Returns a number for a session. After some two thousand million sessions numbers repeat.
    pub(crate) fn number(&self) -> u32 {
        let next = self.last.fetch_add(1, Ordering::Relaxed);
        next % i32::MAX.unsigned_abs() + 1
    }

    /// Settles the announcement of `pid`, which a server of the session has reported.
    pub(crate) fn mark_reported(&self, pid: Pid) {
        let mut unreported = self.unreported.lock();
        loop {
            if let Some(index) = unreported.iter().position(|(_, other)| *other == pid) {
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

    /// Returns the announced children of a session that no reply has reported, and forgets them.
    /// To be called once the servers and their process group have been killed.
    pub(crate) fn take_unreported(&self, session: u32) -> Vec<Pid> {
        let mut unreported = self.unreported.lock();
        unreported.extend(std::iter::from_fn(|| self.next()));
        let of_session = unreported.extract_if(.., |(other, _)| *other == session);
        of_session.map(|(_, pid)| pid).collect()
    }

    /// Returns the next announcement in the socket, without waiting for one.
    fn next(&self) -> Option<(u32, Pid)> {
        let message = receive(&self.socket, RecvFlags::DONTWAIT).ok()?;
        message.session.zip(message.sender)
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

    /// Starts a process that announces itself as a child of the session, and ends.
    fn announce(announcements: &Announcements, session: u32) -> Pid {
        let number = session.to_ne_bytes();
        let octal: String = number.iter().map(|byte| format!("\\{byte:03o}")).collect();
        let theirs = announcements.childrens_end().try_clone_to_owned();
        let mut child = Command::new("/usr/bin/printf")
            .arg(octal)
            .stdin(Stdio::null())
            .stdout(theirs.expect("a copy"))
            .spawn()
            .expect("it starts");
        child.wait().expect("it ends");
        Pid::from_child(&child)
    }

    #[test]
    fn a_child_that_was_announced_and_not_reported_is_returned_once() {
        let announcements = Announcements::new().expect("a socket");
        assert_eq!(announcements.take_unreported(1), []);
        let [first, second, third] = [(); 3].map(|()| announce(&announcements, 1));
        // Reports come in any order, and also about a child that never announced itself.
        announcements.mark_reported(second);
        announcements.mark_reported(rustix::process::getpid());
        let fourth = announce(&announcements, 1);
        announcements.mark_reported(first);
        let mut unreported = announcements.take_unreported(1);
        unreported.sort_by_key(|pid| pid.as_raw_pid());
        assert_eq!(unreported, [third, fourth]);
        assert_eq!(announcements.take_unreported(1), []);
    }

    #[test]
    fn a_session_gets_its_own_children() {
        let announcements = Announcements::new().expect("a socket");
        let [one, other] = [(); 2].map(|()| announcements.number());
        assert_ne!(one, other);
        let children = [one, other, one].map(|session| announce(&announcements, session));
        assert_eq!(announcements.take_unreported(other), [children[1]]);
        assert_eq!(
            announcements.take_unreported(one),
            [children[0], children[2]]
        );
    }
}

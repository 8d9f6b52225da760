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
use std::time::Duration;

use parking_lot::Mutex;
use rustix::net::RecvFlags;
use rustix::net::sockopt::{Timeout, set_socket_passcred, set_socket_timeout};
use rustix::process::Pid;

use super::message::{receive, socket_pair};

/// How long a child may wait for room in the socket, 1 s: all children share its buffer, and a child that waits
/// keeps its server waiting. It fails then, for a shortage of the host.
const SEND_TIMEOUT: Duration = Duration::from_secs(1);

/// The announcement socket of a launcher, and what was read from it so far. All sessions share it: they hold it
/// as long as their children may announce themselves. Each child sends the number of its session, or outside any
/// session that of its server.
#[derive(Debug)]
pub(crate) struct Announcements {
    socket: OwnedFd,
    childrens_end: OwnedFd,
    /// The number of the last session, or of the last server outside any session.
    last: AtomicU32,
    /// Announcements that were read before the reply about their child: the number and the child's pid.
    unreported: Mutex<Vec<(u32, Pid)>>,
}

impl Announcements {
    /// Makes the socket.
    pub(crate) fn new() -> io::Result<Self> {
        let (socket, childrens_end) = socket_pair()?;
        set_socket_passcred(&socket, true)?;
        set_socket_timeout(&childrens_end, Timeout::Send, Some(SEND_TIMEOUT))?;
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

    /// Returns a number for a session or a server. After some two thousand million numbers they repeat.
    pub(crate) fn number(&self) -> u32 {
        let next = self.last.fetch_add(1, Ordering::Relaxed);
        next % i32::MAX.unsigned_abs() + 1
    }

    /// Settles the announcement of `pid`, which its server has reported.
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

    /// Returns the children announced with `number` that no reply has reported, and forgets them.
    /// To be called once the servers that have the number have been killed.
    pub(crate) fn take_unreported(&self, number: u32) -> Vec<Pid> {
        let mut unreported = self.unreported.lock();
        unreported.extend(std::iter::from_fn(|| self.next()));
        let of_session = unreported.extract_if(.., |(other, _)| *other == number);
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

    use rustix::io::Errno;
    use rustix::net::sockopt::socket_timeout;
    use rustix::net::{SendFlags, send};

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

    /// Nobody reads while all threads of the host wait for replies.
    #[test]
    fn an_announcement_without_room_fails_and_later_ones_find_room_again() {
        let announcements = Announcements::new().expect("a socket");
        let childrens_end = announcements.childrens_end();
        let wait = Duration::from_millis(10);
        set_socket_timeout(childrens_end, Timeout::Send, Some(wait)).expect("a timeout");
        let announce = || send(childrens_end, &7u32.to_ne_bytes(), SendFlags::empty());
        let failed = loop {
            if let Err(errno) = announce() {
                break errno;
            }
        };
        assert_eq!(failed, Errno::AGAIN);
        assert!(!announcements.take_unreported(7).is_empty());
        assert_eq!(announce(), Ok(4));
    }

    #[test]
    fn the_socket_of_children_has_a_time_limit() {
        let announcements = Announcements::new().expect("a socket");
        let limit = socket_timeout(announcements.childrens_end(), Timeout::Send);
        assert_eq!(limit, Ok(Some(SEND_TIMEOUT)));
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

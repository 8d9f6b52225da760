//! The children that have announced themselves and that no reply has reported yet.
//!
//! The problem: a server in a pid namespace does not know by which pid the host knows a child. And
//! a server that is killed before it replies leaves a child that only the host can reap.
//!
//! The way chosen: each child sends its number in the namespace before it leaves the server's process
//! group, and the kernel attaches the pid of the sender as the host knows it
//! (`SCM_CREDENTIALS`). A reply names the child by the number, which the announcement turns
//! into the pid. If the server is killed, the remaining announcements name the children to reap.
//!
//! Rejected: announcing on the socket on which the host waits for the reply. The message
//! would wake the waiting thread too early, perhaps on another processor, which costs
//! the child 30 µs.

use std::io;
use std::os::fd::OwnedFd;
#[cfg(test)]
use std::os::fd::{AsFd, BorrowedFd};

use parking_lot::Mutex;
use rustix::net::{RecvFlags, sockopt};
use rustix::process::Pid;

use super::message::{receive, socket_pair};

/// The host's end of the announcement socket, and what was read from it so far.
#[derive(Debug)]
pub(crate) struct Announcements {
    socket: OwnedFd,
    /// Announcements that were read before the reply about their child: the number in the
    /// server's namespace, and the pid.
    unreported: Mutex<Vec<(i32, Pid)>>,
}

impl Announcements {
    /// Returns the host's end, and the end of the server and its children.
    pub(crate) fn new() -> io::Result<(Self, OwnedFd)> {
        let (socket, theirs) = socket_pair()?;
        sockopt::set_socket_passcred(&socket, true)?;
        let unreported = Mutex::default();
        Ok((Self { socket, unreported }, theirs))
    }

    /// Settles the announcement of the child `number`, which a server has reported, and returns its
    /// pid; none if the child failed before it could announce itself.
    pub(crate) fn take(&self, number: i32) -> Option<Pid> {
        let mut unreported = self.unreported.lock();
        let is_wanted = |(announced, _): &(i32, Pid)| *announced == number;
        if let Some(index) = unreported.iter().position(is_wanted) {
            return Some(unreported.swap_remove(index).1);
        }
        loop {
            let next = self.next()?;
            if is_wanted(&next) {
                return Some(next.1);
            }
            unreported.push(next);
        }
    }

    /// Returns the announced children that no reply has reported, and forgets them.
    /// To be called once the server and its process group have been killed.
    pub(crate) fn take_unreported(&self) -> Vec<Pid> {
        let mut unreported = std::mem::take(&mut *self.unreported.lock());
        unreported.extend(std::iter::from_fn(|| self.next()));
        unreported.into_iter().map(|(_, pid)| pid).collect()
    }

    /// Returns the next announcement in the socket, without waiting for one.
    fn next(&self) -> Option<(i32, Pid)> {
        let message = receive(&self.socket, RecvFlags::DONTWAIT).ok()?;
        Some((message.announced?, message.sender?))
    }
}

#[cfg(test)]
impl AsFd for Announcements {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
#[expect(
    clippy::disallowed_types,
    reason = "the tests start processes of their own"
)]
pub(crate) mod tests {
    use std::process::{Child, Command, Stdio};

    use capspawn_raw::wire::GroupChange;

    use super::*;

    /// Starts a process that announces itself as `number` and then executes `then`.
    pub(crate) fn announcing(theirs: &OwnedFd, number: i32, then: &str) -> Child {
        let bytes = GroupChange::Started(number).to_bytes();
        let octal: String = bytes.iter().map(|byte| format!("\\{byte:03o}")).collect();
        let theirs = theirs.try_clone().expect("a copy");
        Command::new("/bin/sh")
            .args(["-c", &format!("printf '{octal}'; exec {then} >&-")])
            .stdin(Stdio::null())
            .stdout(theirs)
            .spawn()
            .expect("it starts")
    }

    fn announce(theirs: &OwnedFd, number: i32) -> Pid {
        let mut child = announcing(theirs, number, "true");
        child.wait().expect("it ends");
        Pid::from_child(&child)
    }

    #[test]
    fn a_child_that_was_announced_and_not_reported_is_returned_once() {
        let (announcements, theirs) = Announcements::new().expect("a socket");
        assert_eq!(announcements.take_unreported(), []);
        let [_, second, third] = [1, 2, 3].map(|number| announce(&theirs, number));
        // Reports come in any order, and also about a child that never announced itself.
        assert_eq!(announcements.take(2), Some(second));
        assert_eq!(announcements.take(9), None);
        let fourth = announce(&theirs, 4);
        assert!(announcements.take(1).is_some());
        assert_eq!(announcements.take(1), None);
        let mut unreported = announcements.take_unreported();
        unreported.sort_by_key(|pid| pid.as_raw_pid());
        assert_eq!(unreported, [third, fourth]);
        assert_eq!(announcements.take_unreported(), []);
    }
}

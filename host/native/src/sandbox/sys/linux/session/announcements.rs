//! What children say: that they are there.
//!
//! Each says so before it leaves the server's process group, and the kernel whose
//! word that is. Where the server answers, that is of no interest. Of a server that is
//! killed before it could, these are the children that it has left behind: the
//! host's, that nobody else will reap.
//!
//! Not on the socket where the answer is awaited. A word there wakes up whoever waits,
//! too early and perhaps on another processor, which costs the child 30 µs.

use std::io;
use std::os::fd::OwnedFd;

use parking_lot::Mutex;
use rustix::net::{RecvFlags, sockopt};
use rustix::process::Pid;

use super::message::{pair, receive};

/// Whose word has come, or may still lie in the socket.
#[derive(Debug)]
pub(crate) struct Words {
    socket: OwnedFd,
    heard: Mutex<Vec<Pid>>,
}

impl Words {
    /// The end of the host, and the one of the server and its children.
    pub(crate) fn new() -> io::Result<(Self, OwnedFd)> {
        let (socket, theirs) = pair()?;
        sockopt::set_socket_passcred(&socket, true)?;
        let heard = Mutex::default();
        Ok((Self { socket, heard }, theirs))
    }

    /// The server has told of this child.
    pub(crate) fn told(&self, pid: Pid) {
        let mut heard = self.heard.lock();
        loop {
            if let Some(index) = heard.iter().position(|other| *other == pid) {
                heard.swap_remove(index);
                return;
            }
            match self.next() {
                Some(other) => heard.push(other),
                // It failed before it could say anything.
                None => return,
            }
        }
    }

    /// Those whom nobody has told of. To be asked when the server has been killed, and its process group.
    pub(crate) fn untold(&self) -> Vec<Pid> {
        let mut heard = std::mem::take(&mut *self.heard.lock());
        heard.extend(std::iter::from_fn(|| self.next()));
        heard
    }

    /// The next word that has come.
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

    /// A process that says a word and ends.
    fn say(theirs: &OwnedFd) -> Pid {
        let mut said = Command::new("/bin/echo");
        let theirs = theirs.try_clone().expect("a copy");
        let mut child = said
            .stdin(Stdio::null())
            .stdout(theirs)
            .spawn()
            .expect("it starts");
        child.wait().expect("it ends");
        Pid::from_child(&child)
    }

    #[test]
    fn who_is_told_of_is_not_left_behind() {
        let (words, theirs) = Words::new().expect("a socket");
        assert_eq!(words.untold(), []);
        let [first, second, third] = [(); 3].map(|()| say(&theirs));
        // In any order, and whether a word has come or not.
        words.told(second);
        words.told(rustix::process::getpid());
        let fourth = say(&theirs);
        words.told(first);
        let mut untold = words.untold();
        untold.sort_by_key(|pid| pid.as_raw_pid());
        assert_eq!(untold, [third, fourth]);
        assert_eq!(words.untold(), []);
    }
}

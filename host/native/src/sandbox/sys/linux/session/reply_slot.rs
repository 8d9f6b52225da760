//! Where the reply to a request arrives.
//!
//! On the control socket, unless another thread waits for a reply there: then a socket
//! of its own is passed along with the request. A socket with every request would be
//! simpler; creating, passing and closing it cost 3 % of a spawn and wait of
//! `/bin/true`.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::net::sockopt::{Timeout, set_socket_timeout};

use super::announcements::Announcements;
use super::message::socket_pair;
use super::reply::Reply;

/// How long a session may take to start, or a child to execute, before the session is
/// ended: a file system that hangs must not block the host's thread for ever.
const REPLY_TIMEOUT: Duration = Duration::from_secs(30);

/// The socket on which one reply is awaited.
pub(crate) enum ReplySlot<'a> {
    /// The control socket, which no other thread uses for a reply meanwhile.
    Control { socket: &'a OwnedFd, turn: Turn<'a> },
    /// A socket for this reply alone.
    Dedicated { ours: OwnedFd, theirs: OwnedFd },
}

/// The right to wait for a reply on the control socket. Dropping it passes the right on.
pub(crate) struct Turn<'a>(&'a AtomicBool);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl<'a> ReplySlot<'a> {
    /// Returns a slot on `control`, or a dedicated one where `in_use` says that another
    /// thread waits there.
    pub(crate) fn new(control: &'a OwnedFd, in_use: &'a AtomicBool) -> io::Result<Self> {
        if !in_use.swap(true, Ordering::Acquire) {
            return Ok(Self::Control {
                socket: control,
                turn: Turn(in_use),
            });
        }
        let (ours, theirs) = socket_pair()?;
        set_reply_timeout(&ours)?;
        Ok(Self::Dedicated { ours, theirs })
    }

    /// Returns the server's end of a dedicated socket, to be passed with the request.
    pub(crate) fn far_end(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Self::Control { .. } => None,
            Self::Dedicated { theirs, .. } => Some(theirs.as_fd()),
        }
    }

    /// Waits for the reply to the request, which has been sent.
    pub(crate) fn wait(self, announcements: &Announcements) -> io::Result<Reply> {
        match self {
            Self::Dedicated { ours, theirs } => {
                drop(theirs);
                Reply::receive(&ours, announcements)
            }
            Self::Control { socket, turn } => {
                let reply = Reply::receive(socket, announcements);
                if let Ok(Reply::Missing { .. }) = reply {
                    // A late reply would be taken for that to another request: nobody waits here again.
                    std::mem::forget(turn);
                }
                reply
            }
        }
    }
}

/// Limits the time that a reply on `socket` is awaited.
pub(crate) fn set_reply_timeout(socket: &OwnedFd) -> rustix::io::Result<()> {
    set_socket_timeout(socket, Timeout::Recv, Some(REPLY_TIMEOUT))
}

#[cfg(test)]
mod tests {
    use rustix::net::{SendFlags, send};

    use super::*;
    use capspawn_raw::step::Step;
    use capspawn_raw::wire::Report;

    #[test]
    fn the_control_socket_serves_one_reply_at_a_time_and_none_after_a_missing_one() {
        let (control, theirs) = socket_pair().expect("a socket");
        set_socket_timeout(&control, Timeout::Recv, Some(Duration::from_millis(10)))
            .expect("a timeout");
        let (announcements, _childrens_end) = Announcements::new().expect("a socket");
        let in_use = AtomicBool::new(false);
        let slot = || ReplySlot::new(&control, &in_use).expect("a socket");
        let refused = Report::Refused {
            step: Some(Step::Exec),
            errno: 2,
            pid: 0,
        };
        for _ in 0..2 {
            let first = slot();
            assert!(first.far_end().is_none());
            let second = slot();
            let dedicated = second.far_end().expect("a dedicated socket");
            for to in [dedicated, theirs.as_fd()] {
                let sent = send(to, &refused.to_bytes(), SendFlags::empty());
                assert_eq!(sent, Ok(16));
            }
            for reply in [second, first].map(|slot| slot.wait(&announcements)) {
                assert!(matches!(
                    reply,
                    Ok(Reply::Refused {
                        step: Some(Step::Exec),
                        errno: 2
                    })
                ));
            }
            // A slot whose request was never sent.
            drop(slot());
        }
        let late = slot().wait(&announcements);
        assert!(matches!(late, Ok(Reply::Missing { timed_out: true })));
        assert!(slot().far_end().is_some());
    }
}

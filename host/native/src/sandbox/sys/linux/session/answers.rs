//! Where the answer to a request comes.
//!
//! On the control socket, unless somebody awaits one there already: then a socket of
//! its own goes along with the request. One with every request would be simpler; to
//! make it, pass it and close it was 3 hundredths of a spawn and wait of `/bin/true`.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::net::sockopt::{Timeout, set_socket_timeout};

use super::answer::{Answer, answer};
use super::message::pair;
use super::words::Words;

/// How long a session may take to be made, or a child to execute, before the session
/// is given up: a file system that hangs must not hold the host's thread for ever.
const LAUNCH_BOUND: Option<Duration> = Some(Duration::from_secs(30));

/// The socket at which one answer is awaited.
pub(super) enum Answers<'a> {
    Control { socket: &'a OwnedFd, turn: Turn<'a> },
    Apart { ours: OwnedFd, theirs: OwnedFd },
}

/// The right to await an answer on the control socket; given back with the drop.
pub(super) struct Turn<'a>(&'a AtomicBool);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl<'a> Answers<'a> {
    /// At `control`, or apart where an answer `is_awaited` there.
    pub(super) fn new(control: &'a OwnedFd, is_awaited: &'a AtomicBool) -> io::Result<Self> {
        if !is_awaited.swap(true, Ordering::Acquire) {
            return Ok(Self::Control {
                socket: control,
                turn: Turn(is_awaited),
            });
        }
        let (ours, theirs) = pair()?;
        bound(&ours)?;
        Ok(Self::Apart { ours, theirs })
    }

    /// What goes along with the request.
    pub(super) fn far_end(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Self::Control { .. } => None,
            Self::Apart { theirs, .. } => Some(theirs.as_fd()),
        }
    }

    /// Waits for the answer to the request, which was sent.
    pub(super) fn wait(self, words: &Words) -> io::Result<Answer> {
        match self {
            Self::Apart { ours, theirs } => {
                drop(theirs);
                answer(&ours, words)
            }
            Self::Control { socket, turn } => {
                let answer = answer(socket, words);
                if let Ok(Answer::Silence { .. }) = answer {
                    // What still comes is for nobody.
                    std::mem::forget(turn);
                }
                answer
            }
        }
    }
}

/// Bounds the waiting on `socket`.
pub(super) fn bound(socket: &OwnedFd) -> rustix::io::Result<()> {
    set_socket_timeout(socket, Timeout::Recv, LAUNCH_BOUND)
}

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

use super::announcements::Words;
use super::message::pair;
use super::reply::{Answer, answer};

/// How long a session may take to be made, or a child to execute, before the session
/// is given up: a file system that hangs must not hold the host's thread for ever.
const LAUNCH_BOUND: Option<Duration> = Some(Duration::from_secs(30));

/// The socket at which one answer is awaited.
pub(crate) enum Answers<'a> {
    Control { socket: &'a OwnedFd, turn: Turn<'a> },
    Apart { ours: OwnedFd, theirs: OwnedFd },
}

/// The right to await an answer on the control socket; given back with the drop.
pub(crate) struct Turn<'a>(&'a AtomicBool);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl<'a> Answers<'a> {
    /// At `control`, or apart where an answer `is_awaited` there.
    pub(crate) fn new(control: &'a OwnedFd, is_awaited: &'a AtomicBool) -> io::Result<Self> {
        if !is_awaited.swap(true, Ordering::Acquire) {
            return Ok(Self::Control {
                socket: control,
                turn: Turn(is_awaited),
            });
        }
        let (ours, theirs) = pair()?;
        set_bound(&ours)?;
        Ok(Self::Apart { ours, theirs })
    }

    /// What goes along with the request.
    pub(crate) fn far_end(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Self::Control { .. } => None,
            Self::Apart { theirs, .. } => Some(theirs.as_fd()),
        }
    }

    /// Waits for the answer to the request, which was sent.
    pub(crate) fn wait(self, words: &Words) -> io::Result<Answer> {
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
pub(crate) fn set_bound(socket: &OwnedFd) -> rustix::io::Result<()> {
    set_socket_timeout(socket, Timeout::Recv, LAUNCH_BOUND)
}

#[cfg(test)]
mod tests {
    use rustix::net::{SendFlags, send};

    use super::*;
    use capspawn_raw::step::Step;
    use capspawn_raw::wire::Report;

    #[test]
    fn one_answer_at_a_time_comes_on_the_control_socket_and_none_after_a_silence() {
        let (control, theirs) = pair().expect("a socket");
        set_socket_timeout(&control, Timeout::Recv, Some(Duration::from_millis(10)))
            .expect("a bound");
        let (words, _childrens) = Words::new().expect("a socket");
        let is_awaited = AtomicBool::new(false);
        let answers = || Answers::new(&control, &is_awaited).expect("a socket");
        let refused = Report::Refused {
            step: Some(Step::Exec),
            errno: 2,
            pid: 0,
        };
        for _ in 0..2 {
            let first = answers();
            assert!(first.far_end().is_none());
            let second = answers();
            let socket = second.far_end().expect("it is apart");
            for to in [socket, theirs.as_fd()] {
                let sent = send(to, &refused.to_bytes(), SendFlags::empty());
                assert_eq!(sent, Ok(16));
            }
            for answer in [second, first].map(|answers| answers.wait(&words)) {
                assert!(matches!(
                    answer,
                    Ok(Answer::Refused {
                        step: Some(Step::Exec),
                        errno: 2
                    })
                ));
            }
            // Never sent.
            drop(answers());
        }
        let late = answers().wait(&words);
        assert!(matches!(late, Ok(Answer::Silence { late: true })));
        assert!(answers().far_end().is_some());
    }
}

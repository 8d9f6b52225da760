//! How a session comes into being, as it is told on the control socket.
//!
//! The helper makes pid 1 and says so with its pidfd, and pid 1 says that it is
//! ready, or what failed. Nothing orders the two: on a busy machine pid 1 may
//! have made its root before its maker runs again. A maker that is killed in
//! between, and a host that has no descriptor for the pidfd, still leave a child
//! of the host that must be reaped: its own word comes with its number.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::RecvFlags;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

use super::start::receive;
use super::wire::Report;

/// What has been told.
pub(super) struct Birth {
    /// Pid 1; none where it was never made, or not handed over.
    pub(super) process: Option<OwnedFd>,
    /// Its number, as the kernel says, once it has said something itself.
    pub(super) number: Option<Pid>,
    /// Its maker has said that it is there.
    pub(super) made: bool,
    /// What it, or its maker, has said; none where it ended without a word.
    pub(super) answer: Option<Report>,
}

/// Waits until all is told. `maker` is readable once the maker has ended.
pub(super) fn birth(control: &OwnedFd, maker: BorrowedFd<'_>) -> io::Result<Birth> {
    let mut birth = Birth {
        process: None,
        number: None,
        made: false,
        answer: None,
    };
    while !birth.made || birth.answer.is_none() {
        // Pid 1 serves, and its maker may have been killed before it said so: there is no end of the socket then.
        if birth.answer.is_some() && !more(control, maker)? {
            break;
        }
        let message = match receive(control, RecvFlags::empty()) {
            // Its bound has passed.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            message => message?,
        };
        match (message.report, message.descriptor) {
            (Some(Report::Started), pidfd) => {
                birth.made = true;
                birth.process = pidfd;
            }
            (Some(answer), None) if birth.answer.is_none() => {
                birth.answer = Some(answer);
                birth.number = message.sender;
            }
            // The end of the socket: who failed has said it and is gone.
            _ => break,
        }
    }
    Ok(birth)
}

/// How long a maker may take to end: it has one message to send.
const BOUND: Timespec = Timespec {
    tv_sec: 30,
    tv_nsec: 0,
};

/// Whether something is told yet, or `maker` has ended and told nothing more.
fn more(control: &OwnedFd, maker: BorrowedFd<'_>) -> io::Result<bool> {
    let mut fds = [
        PollFd::new(control, PollFlags::IN),
        PollFd::from_borrowed_fd(maker, PollFlags::IN),
    ];
    rustix::io::retry_on_intr(|| poll(&mut fds, Some(&BOUND)))?;
    // What it told before its end is there by now.
    let now = Timespec::default();
    rustix::io::retry_on_intr(|| poll(&mut fds[..1], Some(&now)))?;
    Ok(!fds[0].revents().is_empty())
}

impl Birth {
    /// Ends and reaps a pid 1 whose pidfd the host did not get. It is the host's
    /// child, so that until then nobody else has its number.
    pub(super) fn abandon(&self, maker: Pid) {
        // What the maker says of its own failure comes with its own number.
        let number = self.number.filter(|number| *number != maker);
        let Some(number) = number.filter(|_| self.process.is_none()) else {
            return;
        };
        let _ = kill_process(number, Signal::KILL);
        while let Err(Errno::INTR) = waitid(WaitId::Pid(number), WaitIdOptions::EXITED) {}
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::IoSlice;
    use std::mem::MaybeUninit;
    use std::os::fd::AsFd;

    use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

    use super::super::start::pair;
    use super::*;

    const FAILED: Report = Report::Failed {
        step: 15,
        errno: 2,
        operation: 3,
    };

    fn told(reports: &[Report]) -> Birth {
        let (ours, theirs) = pair().expect("a socket");
        tell(&theirs, reports);
        drop(theirs);
        // A maker that has ended: always readable.
        let ended = File::open("/dev/null").expect("it exists");
        birth(&ours, ended.as_fd()).expect("it can be read")
    }

    fn tell(theirs: &OwnedFd, reports: &[Report]) {
        let pidfd = File::open("/dev/null").expect("it exists");
        for report in reports {
            let bytes = report.bytes();
            let mut room = [const { MaybeUninit::uninit() }; rustix::cmsg_space!(ScmRights(1))];
            let mut ancillary = SendAncillaryBuffer::new(&mut room);
            let fds = [pidfd.as_fd()];
            if *report == Report::Started {
                assert!(ancillary.push(SendAncillaryMessage::ScmRights(&fds)));
            }
            let sent = sendmsg(
                theirs,
                &[IoSlice::new(&bytes)],
                &mut ancillary,
                SendFlags::empty(),
            );
            assert_eq!(sent, Ok(bytes.len()));
        }
    }

    #[test]
    fn a_maker_that_was_killed_before_it_could_say_so_is_not_waited_for() {
        let (ours, theirs) = pair().expect("a socket");
        tell(&theirs, &[Report::Ready]);
        // Pid 1 serves and keeps its end open.
        let ended = File::open("/dev/null").expect("it exists");
        let birth = birth(&ours, ended.as_fd()).expect("it can be read");
        assert!(birth.process.is_none() && !birth.made);
        assert_eq!(birth.answer, Some(Report::Ready));
        drop(theirs);
    }

    #[test]
    fn the_two_may_speak_in_either_order() {
        for answer in [Report::Ready, FAILED] {
            for reports in [[Report::Started, answer], [answer, Report::Started]] {
                let birth = told(&reports);
                assert!(birth.process.is_some(), "{reports:?}");
                assert_eq!(birth.answer, Some(answer), "{reports:?}");
            }
        }
    }

    #[test]
    fn who_ends_without_a_word_has_said_nothing() {
        let silent = told(&[]);
        assert!(silent.process.is_none() && silent.answer.is_none());
        let killed = told(&[Report::Started]);
        assert!(killed.process.is_some() && killed.answer.is_none());
        let maker = told(&[FAILED]);
        assert!(maker.process.is_none());
        assert_eq!(maker.answer, Some(FAILED));
    }
}

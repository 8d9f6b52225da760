//! How a session comes into being, as it is told on the control socket.
//!
//! The helper makes pid 1 and says so with its pidfd, and pid 1 says that it is
//! ready, or what failed. Nothing orders the two: on a busy machine pid 1 may
//! have made its root before its maker runs again.

use std::io;
use std::os::fd::OwnedFd;

use rustix::net::RecvFlags;

use super::start::receive;
use super::wire::Report;

/// What has been told.
pub(super) struct Birth {
    /// Pid 1; none where it was never made.
    pub(super) process: Option<OwnedFd>,
    /// What it, or its maker, has said; none where it ended without a word.
    pub(super) answer: Option<Report>,
}

/// Waits until all is told.
pub(super) fn birth(control: &OwnedFd) -> io::Result<Birth> {
    let mut birth = Birth {
        process: None,
        answer: None,
    };
    while birth.process.is_none() || birth.answer.is_none() {
        let message = receive(control, RecvFlags::empty())?;
        match (message.report, message.descriptor) {
            (Some(Report::Started), Some(pidfd)) => birth.process = Some(pidfd),
            (Some(answer), None) if birth.answer.is_none() => birth.answer = Some(answer),
            // The end of the socket: who failed has said it and is gone.
            _ => break,
        }
    }
    Ok(birth)
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
                &theirs,
                &[IoSlice::new(&bytes)],
                &mut ancillary,
                SendFlags::empty(),
            );
            assert_eq!(sent, Ok(bytes.len()));
        }
        drop(theirs);
        birth(&ours).expect("it can be read")
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

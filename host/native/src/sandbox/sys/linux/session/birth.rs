//! How a session comes into being, as it is told on the control socket.
//!
//! The server makes pid 1 and says so with its number and its pidfd, pid 1 says
//! that it has made the root, and the server that it is ready, or either what
//! failed. Nothing orders the first two: on a busy machine pid 1 may have made its
//! root before its maker runs again. A maker that is killed in between, and a host
//! that has no descriptor for the pidfd, still leave a child of the host that must
//! be reaped: its own word comes with its number.

use std::io;
use std::os::fd::OwnedFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::RecvFlags;
use rustix::process::Pid;

use super::super::vfork::Spawned;
use super::start::{abandon, receive};
use super::wire::Report;

/// What has been told.
pub(super) struct Birth {
    /// Pid 1; none where it was never made, or not handed over.
    pub(super) first: Option<OwnedFd>,
    /// Its number, once somebody has said it.
    number: Option<Pid>,
    /// What it, or the server, has said at last; none where both ended without a word.
    pub(super) answer: Option<Report>,
}

/// Waits until all is told by `server`, or its end.
pub(super) fn birth(control: &OwnedFd, server: &Spawned) -> io::Result<Birth> {
    let mut birth = Birth {
        first: None,
        number: None,
        answer: None,
    };
    let mut made = false;
    while !made || birth.answer.is_none() {
        // Pid 1 has failed, and the server may have been killed before it said that there is one: there may be no end
        // of the socket then.
        if birth.answer.is_some() && !more(control, server)? {
            break;
        }
        let message = match receive(control, RecvFlags::empty()) {
            // Its bound has passed.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            message => message?,
        };
        // The kernel's word, for what pid 1 says itself.
        let sender = message.sender.filter(|sender| *sender != server.pid);
        birth.number = birth.number.or(sender);
        match (message.report, message.descriptor) {
            (Some(Report::Started { pid }), pidfd) => {
                made = true;
                birth.first = pidfd;
                let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
                birth.number = birth.number.or(pid);
            }
            (Some(Report::Made), None) => {}
            (Some(answer), None) if birth.answer.is_none() => birth.answer = Some(answer),
            // The end of the socket: who failed has said it and is gone.
            _ => break,
        }
    }
    Ok(birth)
}

/// How long a server whose pid 1 has failed may take to end: it has one message to send.
const BOUND: Timespec = Timespec {
    tv_sec: 30,
    tv_nsec: 0,
};

/// Whether something is told yet, or `server` has ended and told nothing more.
fn more(control: &OwnedFd, server: &Spawned) -> io::Result<bool> {
    let mut fds = [
        PollFd::new(control, PollFlags::IN),
        PollFd::new(&server.pidfd, PollFlags::IN),
    ];
    rustix::io::retry_on_intr(|| poll(&mut fds, Some(&BOUND)))?;
    // What it told before its end is there by now.
    let now = Timespec::default();
    rustix::io::retry_on_intr(|| poll(&mut fds[..1], Some(&now)))?;
    Ok(!fds[0].revents().is_empty())
}

impl Birth {
    /// Ends and reaps a pid 1 whose pidfd the host did not get.
    pub(super) fn abandon(&self) {
        if let (Some(number), None) = (self.number, &self.first) {
            abandon(number);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::IoSlice;
    use std::mem::MaybeUninit;
    use std::os::fd::AsFd;

    use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg, sockopt};
    use rustix::process::getpid;

    use super::super::start::pair;
    use super::*;

    const STARTED: Report = Report::Started { pid: 1_000_000 };
    const FAILED: Report = Report::Failed {
        step: 15,
        errno: 2,
        operation: 3,
    };

    /// A server that has ended: its descriptor is always readable.
    fn ended() -> Spawned {
        Spawned {
            pid: Pid::INIT,
            pidfd: File::open("/dev/null").expect("it exists").into(),
        }
    }

    fn sockets() -> (OwnedFd, OwnedFd) {
        let (ours, theirs) = pair().expect("a socket");
        sockopt::set_socket_passcred(&ours, true).expect("it can be had");
        (ours, theirs)
    }

    fn told(reports: &[Report]) -> Birth {
        let (ours, theirs) = sockets();
        tell(&theirs, reports);
        drop(theirs);
        birth(&ours, &ended()).expect("it can be read")
    }

    fn tell(theirs: &OwnedFd, reports: &[Report]) {
        let pidfd = File::open("/dev/null").expect("it exists");
        for report in reports {
            let bytes = report.bytes();
            let mut room = [const { MaybeUninit::uninit() }; rustix::cmsg_space!(ScmRights(1))];
            let mut ancillary = SendAncillaryBuffer::new(&mut room);
            let fds = [pidfd.as_fd()];
            if *report == STARTED {
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
    fn a_server_that_was_killed_before_it_could_say_so_is_not_waited_for() {
        for reports in [&[FAILED][..], &[Report::Made]] {
            let (ours, theirs) = sockets();
            tell(&theirs, reports);
            // Pid 1 keeps its end open until it has failed; it has let go of it when it has made the root.
            let kept = (reports == [FAILED]).then_some(theirs);
            let birth = birth(&ours, &ended()).expect("it can be read");
            assert!(birth.first.is_none());
            // The tests' own word.
            assert_eq!(birth.number, Some(getpid()));
            drop(kept);
        }
    }

    #[test]
    fn pid_1_and_its_maker_may_speak_in_either_order() {
        for (own, answer) in [(Report::Made, Report::Ready), (FAILED, FAILED)] {
            for reports in [[STARTED, own, answer], [own, STARTED, answer]] {
                let birth = told(&reports);
                assert!(birth.first.is_some(), "{reports:?}");
                assert!(birth.number.is_some(), "{reports:?}");
                assert_eq!(birth.answer, Some(answer), "{reports:?}");
            }
        }
    }

    #[test]
    fn who_ends_without_a_word_has_said_nothing() {
        let silent = told(&[]);
        assert!(silent.first.is_none() && silent.answer.is_none());
        let killed = told(&[STARTED, Report::Made]);
        assert!(killed.first.is_some() && killed.answer.is_none());
        let server = told(&[FAILED]);
        assert!(server.first.is_none());
        assert_eq!(server.answer, Some(FAILED));
    }
}

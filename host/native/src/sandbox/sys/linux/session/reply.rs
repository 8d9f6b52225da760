//! What a session is asked, and what comes of it.
//!
//! The server says that the child executes, or which step failed. What it then
//! leaves behind, should it be killed, the host has heard of before ([`Words`]).

use std::io;
use std::os::fd::OwnedFd;

use capspawn_raw::step::Step;
use capspawn_raw::wire::Report;
use rustix::io::Errno;
use rustix::net::RecvFlags;
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, kill_process_group, pidfd_open, waitid,
};

use super::announcements::Words;
use super::message::receive;
use crate::sandbox::sys::linux::spawner::vfork::Spawned;

/// What became of a request.
#[derive(Debug)]
pub(crate) enum Answer {
    /// The program executes.
    Started(Spawned),
    /// A step failed, and nothing is left.
    Refused { step: Option<Step>, errno: i32 },
    /// Nobody answers, within the bound or any more. There may be a child.
    Silence { late: bool },
}

/// Waits for the answer on `socket`.
pub(crate) fn answer(socket: &OwnedFd, words: &Words) -> io::Result<Answer> {
    let message = loop {
        match receive(socket, RecvFlags::empty()) {
            // Said once, where the server has left requests unread. What it has said before comes after.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {}
            Err(error) => {
                let late = error.kind() == io::ErrorKind::WouldBlock;
                return Ok(Answer::Silence { late });
            }
            Ok(message) => break message,
        }
    };
    match message.report {
        Some(Report::Started { pid }) => {
            let pid = number(pid)?;
            words.told(pid);
            started(pid, message.descriptor).map(Answer::Started)
        }
        Some(Report::Refused { step, errno, pid }) => {
            if pid != 0 {
                let pid = number(pid)?;
                words.told(pid);
                // It exits at once.
                reap(pid);
            }
            Ok(Answer::Refused { step, errno })
        }
        _ => Ok(Answer::Silence { late: false }),
    }
}

fn number(pid: u32) -> io::Result<Pid> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    pid.ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// The child `pid`, which the host has not reaped, so that the number is its own. One
/// that there is no descriptor for is ended, and all that it has started.
fn started(pid: Pid, pidfd: Option<OwnedFd>) -> io::Result<Spawned> {
    let opened = match pidfd {
        Some(pidfd) => Ok(pidfd),
        None => pidfd_open(pid, PidfdFlags::empty()),
    };
    opened.map(|pidfd| Spawned { pid, pidfd }).map_err(|errno| {
        let _ = kill_process_group(pid, Signal::KILL);
        reap(pid);
        errno.into()
    })
}

/// Waits for the end of a child that nobody else knows of.
pub(crate) fn reap(pid: Pid) {
    while let Err(Errno::INTR) = waitid(WaitId::Pid(pid), WaitIdOptions::EXITED) {}
}

#[cfg(test)]
mod tests {
    use rustix::net::{SendFlags, send, sockopt};

    use super::*;
    use crate::sandbox::sys::linux::session::message::pair;

    fn nobody() -> Words {
        Words::new().expect("a socket").0
    }

    /// What comes of this message, after which the server is gone.
    fn told(message: Option<&[u8]>) -> Answer {
        let (ours, theirs) = pair().expect("a socket");
        // Of somebody else.
        assert_eq!(send(&ours, b"request", SendFlags::empty()), Ok(7));
        if let Some(message) = message {
            let sent = send(&theirs, message, SendFlags::empty());
            assert_eq!(sent, Ok(message.len()));
        }
        drop(theirs);
        answer(&ours, &nobody()).expect("it can be read")
    }

    #[test]
    fn a_server_that_ends_without_an_answer_is_told_from_one_that_is_late() {
        for message in [None, Some(&b"no report"[..])] {
            let silence = told(message);
            assert!(matches!(silence, Answer::Silence { late: false }));
        }
        let (ours, theirs) = pair().expect("a socket");
        let bound = std::time::Duration::from_millis(10);
        sockopt::set_socket_timeout(&ours, sockopt::Timeout::Recv, Some(bound)).expect("a bound");
        let late = answer(&ours, &nobody()).expect("it can be read");
        assert!(matches!(late, Answer::Silence { late: true }));
        drop(theirs);
    }

    #[test]
    fn a_refusal_is_told_with_or_without_a_child() {
        let refused = |pid| Report::Refused {
            step: Some(Step::Exec),
            errno: 2,
            pid,
        };
        let alone = told(Some(&refused(0).to_bytes()));
        assert!(matches!(
            alone,
            Answer::Refused {
                step: Some(Step::Exec),
                errno: 2
            }
        ));
        let mut child = std::process::Command::new("/bin/true").spawn();
        let number = child.as_mut().expect("it starts").id();
        let reaped = told(Some(&refused(number).to_bytes()));
        assert!(matches!(
            reaped,
            Answer::Refused {
                step: Some(Step::Exec),
                errno: 2
            }
        ));
        let again = child.expect("it started").wait();
        assert_eq!(
            again.expect_err("it is reaped").raw_os_error(),
            Some(libc::ECHILD)
        );
    }

    #[test]
    fn a_child_without_a_descriptor_is_opened_by_its_number() {
        let mut child = std::process::Command::new("/bin/sleep").arg("1000").spawn();
        let child = child.as_mut().expect("it starts");
        let report = Report::Started { pid: child.id() };
        let Answer::Started(spawned) = told(Some(&report.to_bytes())) else {
            panic!("it has started");
        };
        assert_eq!(spawned.pid, Pid::from_child(child));
        rustix::process::pidfd_send_signal(&spawned.pidfd, Signal::KILL).expect("it runs");
        spawned.wait();
    }
}

//! What a session is asked, and what comes of it.
//!
//! First the child says that it is there, before it leaves the server's process
//! group, and the kernel whose word that is; then the server says that it executes.
//! Of a server that is killed in between the host so knows what it has left behind:
//! a child of the host, that nobody else will reap.

use std::io;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, kill_process_group, pidfd_open, waitid,
};

use super::super::vfork::Spawned;
use super::message::receive;
use super::wire::Report;

/// What became of a request.
#[derive(Debug)]
pub(super) enum Answer {
    /// The program executes.
    Started(Spawned),
    /// A step failed, and nothing is left.
    Refused { step: u32, errno: i32 },
    /// Nobody answers, within the bound or any more. There may be a child, unreaped.
    Silence { child: Option<Pid>, late: bool },
}

/// Waits for the answer on `socket`.
pub(super) fn answer(socket: &OwnedFd) -> io::Result<Answer> {
    let mut child = None;
    loop {
        let message = match receive(socket) {
            // Said once, where the server has left requests unread. What it and a child have said comes after.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => continue,
            Err(error) => {
                let late = error.kind() == io::ErrorKind::WouldBlock;
                return Ok(Answer::Silence { child, late });
            }
            Ok(message) => message,
        };
        match message.report {
            None if message.bytes == size_of::<u32>() => child = message.sender,
            Some(Report::Started { pid }) => {
                return started(number(pid)?, message.descriptor).map(Answer::Started);
            }
            Some(Report::Refused { step, errno, pid }) => {
                if pid != 0 {
                    // It exits at once.
                    reap(number(pid)?);
                }
                return Ok(Answer::Refused { step, errno });
            }
            _ => return Ok(Answer::Silence { child, late: false }),
        }
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
pub(super) fn reap(pid: Pid) {
    while let Err(Errno::INTR) = waitid(WaitId::Pid(pid), WaitIdOptions::EXITED) {}
}

#[cfg(test)]
mod tests {
    use rustix::net::{SendFlags, send, sockopt};
    use rustix::process::getpid;

    use super::super::message::pair;
    use super::*;

    /// What comes of these messages, after which the server is gone.
    fn told(messages: &[&[u8]]) -> Answer {
        let (ours, theirs) = pair().expect("a socket");
        sockopt::set_socket_passcred(&ours, true).expect("it can be had");
        for message in messages {
            let sent = send(&theirs, message, SendFlags::empty());
            assert_eq!(sent, Ok(message.len()));
        }
        drop(theirs);
        answer(&ours).expect("it can be read")
    }

    const WORD: &[u8] = &[0; 4];

    #[test]
    fn what_was_said_is_heard_although_other_requests_were_left_unread() {
        let (ours, theirs) = pair().expect("a socket");
        sockopt::set_socket_passcred(&ours, true).expect("it can be had");
        assert_eq!(send(&ours, b"request", SendFlags::empty()), Ok(7));
        assert_eq!(send(&theirs, WORD, SendFlags::empty()), Ok(4));
        drop(theirs);
        match answer(&ours).expect("it can be read") {
            Answer::Silence { child, late: false } => assert_eq!(child, Some(getpid())),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_server_that_ends_without_an_answer_may_have_left_a_child() {
        let none = told(&[]);
        assert!(matches!(none, Answer::Silence { child: None, .. }));
        // The tests' own word.
        match told(&[WORD]) {
            Answer::Silence { child, late: false } => assert_eq!(child, Some(getpid())),
            other => panic!("{other:?}"),
        }
        let foreign = told(&[WORD, b"no report"]);
        assert!(matches!(foreign, Answer::Silence { child: Some(_), .. }));
    }

    #[test]
    fn nobody_is_waited_for_longer_than_the_bound() {
        let (ours, theirs) = pair().expect("a socket");
        let bound = std::time::Duration::from_millis(10);
        sockopt::set_socket_timeout(&ours, sockopt::Timeout::Recv, Some(bound)).expect("a bound");
        let late = answer(&ours).expect("it can be read");
        assert!(matches!(late, Answer::Silence { late: true, .. }));
        drop(theirs);
    }

    #[test]
    fn a_refusal_is_told_with_or_without_a_child() {
        let refused = |pid| Report::Refused {
            step: 7,
            errno: 2,
            pid,
        };
        let alone = told(&[&refused(0).bytes()]);
        assert!(matches!(alone, Answer::Refused { step: 7, errno: 2 }));
        let mut child = std::process::Command::new("/bin/true").spawn();
        let number = child.as_mut().expect("it starts").id();
        let reaped = told(&[WORD, &refused(number).bytes()]);
        assert!(matches!(reaped, Answer::Refused { step: 7, errno: 2 }));
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
        let Answer::Started(spawned) = told(&[WORD, &report.bytes()]) else {
            panic!("it has started");
        };
        assert_eq!(spawned.pid, Pid::from_child(child));
        rustix::process::pidfd_send_signal(&spawned.pidfd, Signal::KILL).expect("it runs");
        spawned.wait();
    }
}

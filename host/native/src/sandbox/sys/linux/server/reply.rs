//! The server's reply to one request.
//!
//! A reply reports that the child executes, or which step failed. A server that is
//! killed may leave a child that no reply reports: [`Announcements`] finds it.

use std::io;
use std::os::fd::OwnedFd;

use capspawn_raw::step::Step;
use capspawn_raw::wire::Report;
use rustix::net::RecvFlags;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};

use super::announcements::Announcements;
use super::message::receive;
use crate::launch::{LaunchError, Stage};
use crate::sandbox::sys::linux::own_children::reap;
use crate::sandbox::sys::linux::spawned::Spawned;

/// What became of a request.
#[derive(Debug)]
pub(crate) enum Reply {
    /// The program executes.
    Started(Spawned),
    /// A step failed, and no process is left.
    Refused { step: Option<Step>, errno: i32 },
    /// No reply came in time, or the server has ended.
    Missing(Missing),
}

/// Why there is no reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missing {
    /// The server has ended and had not read the request: nothing was started.
    Unread,
    /// The server has ended. There may be a child, whose program may have run.
    Ended,
    /// It did not come in time. As with `Ended`.
    Late,
}

impl Missing {
    /// Returns the error of the launch. [`Stage::Request`] means that the request may be sent again.
    pub(crate) fn error(self) -> LaunchError {
        let (stage, kind) = match self {
            Self::Unread => (Stage::Request, io::ErrorKind::BrokenPipe),
            Self::Ended => (Stage::Reply, io::ErrorKind::BrokenPipe),
            Self::Late => (Stage::Reply, io::ErrorKind::TimedOut),
        };
        LaunchError::new(stage, kind.into())
    }
}

impl Reply {
    /// Returns the error of a child whose `step` failed, or that could not be cloned.
    pub(crate) fn refusal(step: Option<Step>, errno: i32) -> LaunchError {
        let source = io::Error::from_raw_os_error(errno);
        LaunchError::new(step.map_or(Stage::Spawn, Stage::from), source)
    }

    /// Waits for the reply on `socket`.
    pub(crate) fn receive(socket: &OwnedFd, announcements: &Announcements) -> io::Result<Self> {
        let mut missing = Missing::Ended;
        let message = loop {
            match receive(socket, RecvFlags::empty()) {
                // Reported once by a server that ends with unread requests. Its earlier messages follow.
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                    missing = Missing::Unread;
                }
                Err(error) => {
                    return Ok(Self::Missing(match error.kind() {
                        io::ErrorKind::WouldBlock => Missing::Late,
                        _ => missing,
                    }));
                }
                Ok(message) => break message,
            }
        };
        match message.report {
            Some(Report::Started { pid }) => {
                let pid = checked(pid)?;
                announcements.mark_reported(pid);
                started(pid, message.descriptor).map(Self::Started)
            }
            Some(Report::Refused { step, errno, pid }) => {
                if pid != 0 {
                    let pid = checked(pid)?;
                    announcements.mark_reported(pid);
                    // The child exits at once.
                    reap(pid);
                }
                Ok(Self::Refused { step, errno })
            }
            _ => Ok(Self::Missing(missing)),
        }
    }
}

/// Returns the pid of a report, if it can be one.
fn checked(pid: u32) -> io::Result<Pid> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    pid.ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// Returns the child `pid` with its pidfd, which is opened if the reply had none. The host has
/// not reaped the child, so no other process can have this pid. If the pidfd cannot be opened,
/// the child's process group is killed.
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

#[cfg(test)]
#[expect(
    clippy::disallowed_types,
    reason = "the tests start processes of their own"
)]
mod tests {
    use rustix::net::{SendFlags, send, sockopt};

    use super::super::message::socket_pair;
    use super::*;

    fn no_announcements() -> Announcements {
        Announcements::new().expect("a socket")
    }

    /// Returns the reply of a server that sends `message` and ends, and leaves the request unread.
    fn reply_to(message: Option<&[u8]>) -> Reply {
        let (ours, theirs) = socket_pair().expect("a socket");
        assert_eq!(send(&ours, b"request", SendFlags::empty()), Ok(7));
        if let Some(message) = message {
            let sent = send(&theirs, message, SendFlags::empty());
            assert_eq!(sent, Ok(message.len()));
        }
        drop(theirs);
        Reply::receive(&ours, &no_announcements()).expect("it can be read")
    }

    #[test]
    fn an_ended_server_is_distinguished_from_one_that_exceeds_the_timeout() {
        for message in [None, Some(&b"no report"[..])] {
            let missing = reply_to(message);
            assert!(matches!(missing, Reply::Missing(Missing::Unread)));
        }
        let (ours, theirs) = socket_pair().expect("a socket");
        assert_eq!(send(&ours, b"request", SendFlags::empty()), Ok(7));
        receive(&theirs, RecvFlags::empty()).expect("the request");
        drop(theirs);
        let acted = Reply::receive(&ours, &no_announcements()).expect("it can be read");
        assert!(matches!(acted, Reply::Missing(Missing::Ended)));
        let (ours, theirs) = socket_pair().expect("a socket");
        let timeout = std::time::Duration::from_millis(10);
        sockopt::set_socket_timeout(&ours, sockopt::Timeout::Recv, Some(timeout))
            .expect("a timeout");
        let late = Reply::receive(&ours, &no_announcements()).expect("it can be read");
        assert!(matches!(late, Reply::Missing(Missing::Late)));
        drop(theirs);
    }

    #[test]
    fn a_refusal_is_returned_and_its_child_reaped() {
        let refused = |pid| Report::Refused {
            step: Some(Step::Exec),
            errno: 2,
            pid,
        };
        let childless = reply_to(Some(&refused(0).to_bytes()));
        assert!(matches!(
            childless,
            Reply::Refused {
                step: Some(Step::Exec),
                errno: 2
            }
        ));
        let mut child = std::process::Command::new("/bin/true").spawn();
        let pid = child.as_mut().expect("it starts").id();
        let reply = reply_to(Some(&refused(pid).to_bytes()));
        assert!(matches!(
            reply,
            Reply::Refused {
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
    fn a_child_reported_without_a_descriptor_is_opened_by_its_pid() {
        let mut child = std::process::Command::new("/bin/sleep").arg("1000").spawn();
        let child = child.as_mut().expect("it starts");
        let report = Report::Started { pid: child.id() };
        let Reply::Started(spawned) = reply_to(Some(&report.to_bytes())) else {
            panic!("it has started");
        };
        assert_eq!(spawned.pid, Pid::from_child(child));
        rustix::process::pidfd_send_signal(&spawned.pidfd, Signal::KILL).expect("it runs");
        spawned.wait();
    }
}

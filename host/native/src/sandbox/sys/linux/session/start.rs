//! A running session.

use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SocketFlags, SocketType,
    recvmsg, socketpair, sockopt,
};
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, kill_process, pidfd_open, pidfd_send_signal,
    waitid,
};

use super::super::descriptors::raised;
use super::super::key::Key;
use super::super::landlock;
use super::super::launcher::{NativeLauncher, SessionFiles};
use super::super::process::Child;
use super::super::steps::{Fault, Step};
use super::super::vfork::{Spawned, stage_of};
use super::birth::{Birth, birth};
use super::child::SessionChild;
use super::configuration;
use super::profile::Profile;
use super::request::Request;
use super::view::View;
use super::wire::{REPORT_BYTES, Report};
use crate::error::{LaunchError, Stage};
use crate::launch::{ChildStdio, Plan};

/// How long a request may wait for room in the socket: the server never waits for
/// anybody but the exec of one child.
const SEND_BOUND: Duration = Duration::from_secs(1);

/// Namespaces, their pid 1 and the server. Dropped, everything in them ends.
#[derive(Debug)]
pub(in super::super) struct Session {
    /// The server ends with this socket.
    control: OwnedFd,
    /// The end of this socket is pid 1's, and it ends with the socket.
    lifeline: OwnedFd,
    processes: Arc<Processes>,
    /// Children whose handles were dropped, and who were killed with that: pid 1
    /// can be reaped once they are.
    unreaped: Mutex<Vec<Arc<Child>>>,
    /// Denied paths that were missing, so that nothing hides them.
    absent: Vec<PathBuf>,
    /// The fault that the tests have arranged in children.
    fault: Fault,
    /// For the tests: the server alone needs it.
    #[cfg(test)]
    key: Key,
}

/// The two processes of a session, both children of the host.
#[derive(Debug)]
struct Processes {
    server: Spawned,
    /// Pid 1.
    first: OwnedFd,
}

/// How long a session may take to be made, or a child to execute, before the session
/// is given up: a file system that hangs must not hold the host's thread for ever.
const LAUNCH_BOUND: Option<Duration> = Some(Duration::from_secs(30));

impl Session {
    /// Makes the namespaces and the root, and starts pid 1. Takes 1 to 2 ms.
    ///
    /// # Errors
    ///
    /// The stage that failed; a root or hole at fault is named. Nothing is left.
    pub(in super::super) fn start(
        launcher: &NativeLauncher,
        profile: &Profile,
    ) -> Result<Self, LaunchError> {
        let at = |stage| move |source| LaunchError::new(stage, source);
        let view = View::new(&profile.confinement.fs, profile.tmpfs_bytes);
        let view = view.map_err(at(Stage::Root))?;
        let absent: Vec<_> = view
            .optional
            .iter()
            .filter(|hole| !is_there(hole))
            .cloned()
            .collect();
        let ruleset =
            landlock::session_ruleset(&profile.confinement).map_err(at(Stage::Ruleset))?;
        let ruleset = ruleset
            .map(raised)
            .transpose()
            .map_err(at(Stage::Ruleset))?;
        let key = Key::draw().map_err(at(Stage::Spawn))?;
        let file = configuration::file(profile, &view, launcher.user(), key).and_then(raised);
        let file = file.map_err(at(Stage::Spawn))?;
        let (control, theirs) = pair().map_err(at(Stage::Spawn))?;
        let (lifeline, firsts) = pair().map_err(at(Stage::Spawn))?;
        sockopt::set_socket_timeout(&control, sockopt::Timeout::Send, Some(SEND_BOUND))
            .and_then(|()| {
                sockopt::set_socket_timeout(&control, sockopt::Timeout::Recv, LAUNCH_BOUND)
            })
            .and_then(|()| sockopt::set_socket_passcred(&control, true))
            .map_err(|errno| LaunchError::new(Stage::Spawn, errno.into()))?;
        let (own, childs) = faults(launcher.fault());
        let files = SessionFiles {
            configuration: file.as_fd(),
            control: theirs.as_fd(),
            lifeline: firsts.as_fd(),
            ruleset: ruleset.as_ref(),
        };
        let server = launcher.start_session(&files, own)?;
        drop((theirs, firsts));
        let born = birth(&control, &server);
        let (first, answer) = match born {
            Ok(Birth {
                first: Some(first),
                answer,
                ..
            }) => (first, answer),
            other => {
                let _ = pidfd_send_signal(&server.pidfd, Signal::KILL);
                server.wait();
                let born = other.map_err(at(Stage::Request))?;
                born.abandon();
                return Err(match born.answer {
                    // It was made and told so, but the host had no descriptor for it.
                    Some(Report::Ready) => at(Stage::Request)(Errno::MFILE.into()),
                    answer => failure(answer, &view),
                });
            }
        };
        // Dropped, it ends, where it is not ready.
        let session = Self {
            control,
            lifeline,
            processes: Arc::new(Processes { server, first }),
            unreaped: Mutex::default(),
            absent,
            fault: childs,
            #[cfg(test)]
            key,
        };
        match answer {
            Some(Report::Ready) => Ok(session),
            answer => Err(failure(answer, &view)),
        }
    }

    /// Whether children can be started in it.
    pub(in super::super) fn is_alive(&self) -> bool {
        self.has_pid_1() && !is_ready(&self.processes.server.pidfd, PollFlags::IN)
    }

    /// Whether its children may live: the kernel ends them with pid 1.
    pub(super) fn has_pid_1(&self) -> bool {
        !is_ready(&self.lifeline, PollFlags::empty())
    }

    /// Whether a denied path is there by now that the session does not hide: its present children see it.
    pub(in super::super) fn is_outdated(&self) -> bool {
        self.absent.iter().any(|hole| is_there(hole))
    }

    /// Starts what `plan` says in the session. Returns once the program executes.
    ///
    /// # Errors
    ///
    /// The stage that failed. [`Stage::Request`] with a broken pipe is a session
    /// that has ended: a new one may be made and asked.
    pub(in super::super) fn launch(
        self: &Arc<Self>,
        plan: &Plan,
        stdio: &ChildStdio,
    ) -> Result<SessionChild, LaunchError> {
        let at = |stage| move |source| LaunchError::new(stage, source);
        self.unreaped.lock().retain(|child| !is_gone(child));
        let request = Request::new(plan, self.fault).map_err(at(Stage::Spawn))?;
        let (status, theirs) = pair().map_err(at(Stage::Pipe))?;
        sockopt::set_socket_timeout(&status, sockopt::Timeout::Recv, LAUNCH_BOUND)
            .map_err(|errno| LaunchError::new(Stage::Pipe, errno.into()))?;
        let descriptors = [
            stdio.stdin.as_fd(),
            stdio.stdout.as_fd(),
            stdio.stderr.as_fd(),
            plan.program.file.as_fd(),
            theirs.as_fd(),
        ];
        self.send(&request, &descriptors)?;
        drop(theirs);
        let message = match receive(&status, RecvFlags::empty()) {
            // Something keeps the child from executing, and the server from everything else.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.unanswered();
                return Err(at(Stage::Request)(io::ErrorKind::TimedOut.into()));
            }
            message => message.map_err(at(Stage::Request))?,
        };
        if message.report.is_none() {
            return Err(self.unanswered());
        }
        // The child's own word, which is of use only where this one does not come.
        let _ = receive(&self.control, RecvFlags::DONTWAIT);
        match message.report {
            Some(Report::Started { pid }) => {
                let spawned = message.spawned(pid).map_err(at(Stage::Request))?;
                Ok(SessionChild::new(Arc::clone(self), spawned))
            }
            // Nobody is born where pid 1 has gone.
            Some(Report::Refused { step: 0, .. }) if !self.has_pid_1() => Err(ended()),
            Some(Report::Refused { step, errno, pid }) => {
                // It exits at once.
                let _ = message.spawned(pid).map(|spawned| spawned.wait());
                let source = io::Error::from_raw_os_error(errno);
                Err(LaunchError::new(stage_of(step), source))
            }
            _ => Err(at(Stage::Request)(io::ErrorKind::InvalidData.into())),
        }
    }

    /// A request is not answered: the server has ended, or waits. (It never lacks descriptors: it holds
    /// none from one request to the next.)
    fn unanswered(&self) -> LaunchError {
        self.end();
        // What it may have started without a word is the host's child too. The answer's socket ended when that
        // executed or exited, so that its own word is there by now.
        while let Ok(message) = receive(&self.control, RecvFlags::DONTWAIT)
            && let Some(sender) = message.sender.filter(|_| message.bytes > 0)
        {
            if let Ok(pidfd) = pidfd_open(sender, PidfdFlags::empty()) {
                let lost = Spawned { pid: sender, pidfd };
                self.reap_later(Arc::new(Child::new(lost, None)));
            }
        }
        ended()
    }

    /// Reaps a killed child when it has ended.
    pub(super) fn reap_later(&self, child: Arc<Child>) {
        self.unreaped.lock().push(child);
    }

    /// Ends the session at once, and all that is in it.
    fn end(&self) {
        let _ = pidfd_send_signal(&self.processes.first, Signal::KILL);
    }

    /// Sends a request; an ended session is told apart.
    fn send(&self, request: &Request, descriptors: &[BorrowedFd<'_>]) -> Result<(), LaunchError> {
        request
            .send(&self.control, descriptors)
            .map_err(|error| match error.raw_os_error() {
                Some(libc::EPIPE | libc::ECONNRESET | libc::ENOTCONN) => ended(),
                _ => LaunchError::new(Stage::Request, error),
            })
    }

    /// The key, for the tests.
    #[cfg(test)]
    pub(super) fn key(&self) -> Key {
        self.key
    }

    /// Pid 1 and the server, for the tests.
    #[cfg(test)]
    pub(super) fn processes(&self) -> [BorrowedFd<'_>; 2] {
        [
            self.processes.first.as_fd(),
            self.processes.server.pidfd.as_fd(),
        ]
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // The kernel kills the whole namespace with its pid 1, and lets pid 1 be reaped once all others are. That
        // takes milliseconds, and this may be the thread that supervises all children.
        self.end();
        let _ = pidfd_send_signal(&self.processes.server.pidfd, Signal::KILL);
        let (processes, unreaped) = (Arc::clone(&self.processes), self.unreaped.get_mut());
        let unreaped = std::mem::take(unreaped);
        let later = unreaped.clone();
        let name = std::thread::Builder::new().name("capspawn-end".into());
        if name.spawn(move || processes.reap(&later)).is_err() {
            self.processes.reap(&unreaped);
        }
    }
}

impl Processes {
    /// Waits for the end of all, and reaps them.
    fn reap(&self, children: &[Arc<Child>]) {
        for child in children {
            child.wait();
        }
        let first = || WaitId::PidFd(self.first.as_fd());
        while let Err(Errno::INTR) = waitid(first(), WaitIdOptions::EXITED) {}
        self.server.wait();
    }
}

fn is_gone(child: &Arc<Child>) -> bool {
    // A host that reaps all children itself has reaped this one.
    child.try_reap().unwrap_or(true)
}

/// Whether one of `events` or the end of the other side has come.
fn is_ready(fd: &OwnedFd, events: PollFlags) -> bool {
    poll(&mut [PollFd::new(fd, events)], Some(&Timespec::default())) != Ok(0)
}

fn is_there(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

fn ended() -> LaunchError {
    LaunchError::new(Stage::Request, io::ErrorKind::BrokenPipe.into())
}

fn failure(report: Option<Report>, view: &View) -> LaunchError {
    match report {
        Some(Report::Failed {
            step,
            errno,
            operation,
        }) => {
            let source = if step == Step::Root as u32 {
                view.error(operation, errno)
            } else {
                io::Error::from_raw_os_error(errno)
            };
            LaunchError::new(stage_of(step), source)
        }
        _ => ended(),
    }
}

/// Two ends that keep messages apart. A host may have closed its standard streams.
pub(super) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let kind = SocketType::SEQPACKET;
    let (ours, theirs) = socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None)?;
    Ok((raised(ours)?, raised(theirs)?))
}

/// A message of the helper or of a child.
pub(super) struct Message {
    /// None where it is no report; zero bytes are the end.
    pub(super) report: Option<Report>,
    bytes: usize,
    pub(super) descriptor: Option<OwnedFd>,
    pub(super) sender: Option<Pid>,
}

impl Message {
    /// The process `pid` that the message is about. One that the host had no
    /// descriptor for is killed and reaped.
    fn spawned(self, pid: u32) -> io::Result<Spawned> {
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or(io::ErrorKind::InvalidData)?;
        match self.descriptor {
            Some(pidfd) => Ok(Spawned { pid, pidfd }),
            None => {
                abandon(pid);
                Err(Errno::MFILE.into())
            }
        }
    }
}

/// Ends and reaps a child that the host has no pidfd for. Until then nobody else has its number.
pub(super) fn abandon(pid: Pid) {
    let _ = kill_process(pid, Signal::KILL);
    while let Err(Errno::INTR) = waitid(WaitId::Pid(pid), WaitIdOptions::EXITED) {}
}

/// Receives a message.
pub(super) fn receive(socket: &OwnedFd, flags: RecvFlags) -> io::Result<Message> {
    const ROOM: usize = rustix::cmsg_space!(ScmRights(1), ScmCredentials(1));
    let mut bytes = [0; REPORT_BYTES];
    let mut room = [const { MaybeUninit::uninit() }; ROOM];
    let mut ancillary = RecvAncillaryBuffer::new(&mut room);
    let received = loop {
        let mut parts = [IoSliceMut::new(&mut bytes)];
        match recvmsg(
            socket,
            &mut parts,
            &mut ancillary,
            flags | RecvFlags::CMSG_CLOEXEC,
        ) {
            Err(Errno::INTR) => {}
            received => break received?,
        }
    };
    let mut message = Message {
        report: Report::read(bytes.get(..received.bytes).unwrap_or(&[])),
        bytes: received.bytes,
        descriptor: None,
        sender: None,
    };
    for part in ancillary.drain() {
        match part {
            RecvAncillaryMessage::ScmRights(mut descriptors) => {
                message.descriptor = descriptors.next();
            }
            RecvAncillaryMessage::ScmCredentials(sender) => message.sender = Some(sender.pid),
            _ => {}
        }
    }
    Ok(message)
}

/// Which faults are the session's and which its children's.
fn faults(fault: Fault) -> (Fault, Fault) {
    let none = Fault { step: 0, errno: 0 };
    let own = [Step::Identity, Step::Namespaces, Step::Root];
    if own.iter().any(|step| *step as u32 == fault.step) {
        (fault, none)
    } else {
        (none, fault)
    }
}

//! A running session.

use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendFlags, SocketFlags,
    SocketType, recvmsg, socketpair, sockopt,
};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, pidfd_send_signal, waitid};

use super::super::descriptors::raised;
use super::super::key::Key;
use super::super::landlock;
use super::super::launcher::NativeLauncher;
use super::super::steps::{Fault, Step};
use super::super::vfork::stage_of;
use super::birth::birth;
use super::child::SessionChild;
use super::configuration;
use super::profile::Profile;
use super::request::Request;
use super::view::View;
use super::wire::{REPORT_BYTES, Report};
use crate::error::{LaunchError, Stage};
use crate::launch::{ChildStdio, Plan};

/// How long a request may wait for room in the socket: the helper never waits for
/// anybody but the exec of one child.
const SEND_BOUND: Duration = Duration::from_secs(1);

/// Namespaces with a helper as their pid 1. Dropped, everything in them ends.
#[derive(Debug)]
pub(in super::super) struct Session {
    /// The end of this socket is the helper's end.
    control: OwnedFd,
    /// Pid 1. None only while dropping.
    process: Option<OwnedFd>,
    next_child: AtomicU32,
    /// Denied paths that were missing, so that nothing hides them.
    absent: Vec<PathBuf>,
    /// The fault that the tests have arranged in children.
    fault: Fault,
    /// For the tests: pid 1 alone needs it.
    #[cfg(test)]
    key: Key,
}

/// How long a request that is only told waits for room: a helper that lives empties
/// its socket in less.
const TELL_BOUND: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 100_000_000,
};

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
        sockopt::set_socket_timeout(&control, sockopt::Timeout::Send, Some(SEND_BOUND))
            .and_then(|()| {
                sockopt::set_socket_timeout(&control, sockopt::Timeout::Recv, LAUNCH_BOUND)
            })
            .and_then(|()| sockopt::set_socket_passcred(&control, true))
            .map_err(|errno| LaunchError::new(Stage::Spawn, errno.into()))?;
        let (own, childs) = faults(launcher.fault());
        let outer = launcher.start_session(file.as_fd(), theirs.as_fd(), ruleset.as_ref(), own)?;
        drop(theirs);
        let born = birth(&control, outer.pidfd.as_fd());
        if let Ok(born) = &born {
            born.abandon(outer.pid);
        }
        // It has nothing left to do, or did not do it in time.
        let _ = pidfd_send_signal(&outer.pidfd, Signal::KILL);
        outer.wait();
        let born = born.map_err(at(Stage::Request))?;
        let Some(process) = born.process else {
            return Err(match born.answer {
                // It was made and told so, but the host had no descriptor for it.
                Some(Report::Ready) if born.made => at(Stage::Request)(Errno::MFILE.into()),
                answer => failure(answer, &view),
            });
        };
        // Dropped, it ends, where it is not ready.
        let session = Self {
            control,
            process: Some(process),
            next_child: AtomicU32::new(1),
            absent,
            fault: childs,
            #[cfg(test)]
            key,
        };
        match born.answer {
            Some(Report::Ready) => Ok(session),
            answer => Err(failure(answer, &view)),
        }
    }

    /// Whether the helper runs, and can be asked.
    pub(in super::super) fn is_alive(&self) -> bool {
        self.process
            .as_ref()
            .is_some_and(|process| !ends(process, &Timespec::default()))
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
        let id = self.next_child.fetch_add(1, Ordering::Relaxed);
        let request = Request::spawn(id, plan, self.fault).map_err(at(Stage::Spawn))?;
        let (status, theirs) = pair().map_err(at(Stage::Pipe))?;
        let passed = sockopt::set_socket_passcred(&status, true).and_then(|()| {
            sockopt::set_socket_timeout(&status, sockopt::Timeout::Recv, LAUNCH_BOUND)
        });
        passed.map_err(|errno| LaunchError::new(Stage::Pipe, errno.into()))?;
        let descriptors = [
            stdio.stdin.as_fd(),
            stdio.stdout.as_fd(),
            stdio.stderr.as_fd(),
            plan.program.file.as_fd(),
            theirs.as_fd(),
        ];
        self.send(&request, &descriptors, SendFlags::empty())?;
        drop(theirs);
        let mut pid = None;
        loop {
            let message = match receive(&status, RecvFlags::empty()) {
                // Something keeps the child from executing, and pid 1 from everything else.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.end();
                    return Err(at(Stage::Request)(io::ErrorKind::TimedOut.into()));
                }
                message => message.map_err(at(Stage::Request))?,
            };
            match (message.report, message.descriptor) {
                // The child itself has said that it is there, and the kernel whose word that is.
                (None, _) if message.bytes == size_of::<u32>() => pid = message.sender,
                (Some(Report::Started), _) => {
                    let pid =
                        pid.ok_or_else(|| at(Stage::Request)(io::ErrorKind::InvalidData.into()))?;
                    return Ok(SessionChild::new(Arc::clone(self), id, pid, status));
                }
                (Some(Report::Failed { step, errno, .. }), _) => {
                    let source = io::Error::from_raw_os_error(errno);
                    return Err(LaunchError::new(stage_of(step), source));
                }
                _ => return Err(self.unanswered()),
            }
        }
    }

    /// What a request without an answer means: the session has ended, or its helper had no descriptor left for those
    /// that came along.
    fn unanswered(&self) -> LaunchError {
        let mut fds = [PollFd::new(&self.control, PollFlags::empty())];
        let over = poll(&mut fds, Some(&Timespec::default())) != Ok(0);
        if over || !self.is_alive() {
            return ended();
        }
        LaunchError::new(Stage::Request, Errno::MFILE.into())
    }

    /// Sends a request that brings nothing along and has no answer, from a thread that may not
    /// wait. A session that does not take it is ended: what was to be killed is gone then.
    pub(super) fn tell(&self, request: &Request) -> io::Result<()> {
        for last in [false, true] {
            match self.send(request, &[], SendFlags::DONTWAIT) {
                Err(error) if error.source.kind() == io::ErrorKind::WouldBlock => {
                    let mut fds = [PollFd::new(&self.control, PollFlags::OUT)];
                    if last || poll(&mut fds, Some(&TELL_BOUND)) == Ok(0) {
                        tracing::error!("a session does not answer and is ended");
                        self.end();
                        return Ok(());
                    }
                }
                // Nothing is left of a session that has ended.
                Err(error) if error.source.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
                sent => return sent.map_err(|error| error.source),
            }
        }
        Ok(())
    }

    /// Ends the session at once, and all that is in it.
    fn end(&self) {
        if let Some(process) = &self.process {
            let _ = pidfd_send_signal(process, Signal::KILL);
        }
    }

    /// Sends a request; an ended session is told apart.
    fn send(
        &self,
        request: &Request,
        descriptors: &[BorrowedFd<'_>],
        flags: SendFlags,
    ) -> Result<(), LaunchError> {
        request
            .send(&self.control, descriptors, flags)
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

    /// Pid 1, for the tests.
    #[cfg(test)]
    pub(super) fn process(&self) -> &OwnedFd {
        self.process.as_ref().expect("only dropping takes it")
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let Some(process) = self.process.take() else {
            return;
        };
        // The kernel kills the whole namespace with its pid 1, and lets pid 1 be reaped once all others are gone. That
        // takes milliseconds, and this may be the thread that supervises all children.
        let _ = pidfd_send_signal(&process, Signal::KILL);
        let process = Arc::new(process);
        let later = Arc::clone(&process);
        let name = std::thread::Builder::new().name("capspawn-end".into());
        if name.spawn(move || reap(&later)).is_err() {
            reap(&process);
        }
    }
}

/// Whether the process ends within `bound`.
fn ends(process: &OwnedFd, bound: &Timespec) -> bool {
    let mut fds = [PollFd::new(process, PollFlags::IN)];
    // An interrupted wait is as good as one that was too short.
    !matches!(poll(&mut fds, Some(bound)), Ok(0) | Err(_))
}

fn is_there(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

fn reap(process: &OwnedFd) {
    while let Err(Errno::INTR) = waitid(WaitId::PidFd(process.as_fd()), WaitIdOptions::EXITED) {}
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

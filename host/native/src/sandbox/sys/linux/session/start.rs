//! A running session.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use parking_lot::Mutex;
use rustix::event::PollFlags;
use rustix::net::{RecvFlags, sockopt};
#[cfg(test)]
use rustix::process::Pid;

use super::affinity::Bound;
use super::announcements::Words;
use super::configuration;
use super::message::{is_ready, pair, receive};
use super::processes::Processes;
use super::profile::Profile;
use super::reply::Answer;
use super::reply_slot::{self, Answers};
use super::request::Request;
use super::view::View;
use crate::launch::{ChildStdio, Plan};
use crate::launch::{LaunchError, Stage};
use crate::sandbox::sys::linux::fd::stdio::above_stdio;
use crate::sandbox::sys::linux::policy::landlock;
use crate::sandbox::sys::linux::policy::pass_key::Key;
use crate::sandbox::sys::linux::spawner::Spawner;
use crate::sandbox::sys::linux::spawner::process::Child;
use crate::sandbox::sys::linux::spawner::services::SessionFiles;
use crate::sandbox::sys::linux::spawner::vfork::Spawned;
use capspawn_raw::step::{Fault, Step};
use capspawn_raw::wire::Report;

/// How long a request may wait for room in the socket: the server never waits for
/// anybody but the exec of one child.
const SEND_BOUND: Duration = Duration::from_secs(1);

/// Namespaces, their pid 1 and the server. Dropped, everything in them ends.
#[derive(Debug)]
pub(crate) struct Session {
    /// The server ends with this socket.
    control: OwnedFd,
    /// Whether an answer is to come on it.
    is_awaited: AtomicBool,
    bound: Bound,
    /// The end of this socket is pid 1's, and it ends with the socket.
    lifeline: OwnedFd,
    /// None only while dropping.
    processes: Option<Processes>,
    /// Killed with their handles, and not reaped yet.
    dropped: Mutex<Vec<Arc<Child>>>,
    /// Denied paths that were missing, so that nothing hides them.
    absent: Vec<PathBuf>,
    /// The fault that the tests have arranged in children.
    fault: Fault,
    /// For the tests: the server alone needs it.
    #[cfg(test)]
    key: Key,
}

impl Session {
    /// Makes the namespaces and the root, and starts pid 1 and the server. Takes 2 to 4 ms.
    ///
    /// # Errors
    ///
    /// The stage that failed; a root or hole at fault is named. Nothing is left.
    pub(crate) fn start(spawner: &Spawner, profile: &Profile) -> Result<Self, LaunchError> {
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
            .map(above_stdio)
            .transpose()
            .map_err(at(Stage::Ruleset))?;
        let key = Key::draw().map_err(at(Stage::Spawn))?;
        let file = configuration::file(profile, &view, spawner.user(), key).and_then(above_stdio);
        let file = file.map_err(at(Stage::Spawn))?;
        let (control, theirs) = pair().map_err(at(Stage::Spawn))?;
        let (lifeline, firsts) = pair().map_err(at(Stage::Spawn))?;
        let (words, childrens) = Words::new().map_err(at(Stage::Spawn))?;
        sockopt::set_socket_timeout(&control, sockopt::Timeout::Send, Some(SEND_BOUND))
            .and_then(|()| reply_slot::set_bound(&control))
            .map_err(|errno| LaunchError::new(Stage::Spawn, errno.into()))?;
        let (own, childs) = faults(spawner.fault());
        let files = SessionFiles {
            configuration: file.as_fd(),
            control: theirs.as_fd(),
            lifeline: firsts.as_fd(),
            announcements: childrens.as_fd(),
            ruleset: ruleset.as_ref(),
        };
        let server = spawner.start_session(&files, own)?;
        drop((theirs, firsts, childrens));
        let processes = Processes { server, words };
        if let Err(error) = ready(&control, &view) {
            drop((control, lifeline));
            processes.end(Vec::new());
            return Err(error);
        }
        Ok(Self {
            control,
            is_awaited: AtomicBool::new(false),
            bound: Bound::new(),
            lifeline,
            processes: Some(processes),
            dropped: Mutex::default(),
            absent,
            fault: childs,
            #[cfg(test)]
            key,
        })
    }

    /// Whether children can be started in it. (Its end alone would tell the next request, but not while a child
    /// that is about to execute still holds the server's end of the socket.)
    pub(crate) fn is_alive(&self) -> bool {
        self.has_pid_1() && self.processes.as_ref().is_some_and(Processes::is_served)
    }

    /// Whether its children may live: the kernel ends them with pid 1.
    pub(crate) fn has_pid_1(&self) -> bool {
        !is_ready(&self.lifeline, PollFlags::empty())
    }

    /// Whether a denied path is there by now that the session does not hide: its present children see it.
    pub(crate) fn is_outdated(&self) -> bool {
        self.absent.iter().any(|hole| is_there(hole))
    }

    /// Starts what `plan` says in the session. Returns once the program executes.
    ///
    /// # Errors
    ///
    /// The stage that failed. [`Stage::Request`] with a broken pipe is a session
    /// that has ended: a new one may be made and asked.
    pub(super) fn spawn(&self, plan: &Plan, stdio: &ChildStdio) -> Result<Spawned, LaunchError> {
        let at = |stage| move |source| LaunchError::new(stage, source);
        self.dropped.lock().retain(|child| !is_gone(child));
        let processes = self.processes.as_ref().ok_or_else(ended)?;
        let affinity = self.bound.hand_over(processes);
        let answers = Answers::new(&self.control, &self.is_awaited).map_err(at(Stage::Pipe))?;
        let request = Request::new(plan, affinity.as_ref(), stdio, &answers, self.fault);
        let request = request.map_err(at(Stage::Spawn))?;
        self.send(&request)?;
        match answers.wait(&processes.words).map_err(at(Stage::Request))? {
            Answer::Started(spawned) => Ok(spawned),
            // Nobody is born where pid 1 has gone.
            Answer::Refused { step: None, .. } if !self.has_pid_1() => Err(ended()),
            Answer::Refused { step, errno } => {
                let source = io::Error::from_raw_os_error(errno);
                Err(LaunchError::new(
                    step.map_or(Stage::Spawn, Stage::from),
                    source,
                ))
            }
            Answer::Silence { late } => {
                // Nobody can say what the server is at. (It never lacks descriptors for what comes along: it holds
                // none from one request to the next.)
                self.end();
                Err(if late { out_of_time() } else { ended() })
            }
        }
    }

    /// Reaps a killed child when it has ended.
    pub(crate) fn reap_later(&self, child: Arc<Child>) {
        self.dropped.lock().push(child);
    }

    /// Ends the session at once, and all that is in it.
    fn end(&self) {
        if let Some(processes) = &self.processes {
            processes.kill();
        }
    }

    /// Sends a request; an ended session is told apart.
    fn send(&self, request: &Request<'_>) -> Result<(), LaunchError> {
        request
            .send(&self.control)
            .map_err(|error| match error.raw_os_error() {
                Some(libc::EPIPE | libc::ECONNRESET | libc::ENOTCONN) => ended(),
                _ => LaunchError::new(Stage::Request, error),
            })
    }
}

#[cfg(test)]
impl Session {
    /// Shortens the bound of an answer.
    pub(crate) fn wait_no_longer_than(&self, bound: Duration) {
        let set = sockopt::set_socket_timeout(&self.control, sockopt::Timeout::Recv, Some(bound));
        set.expect("a bound");
    }

    pub(crate) fn key(&self) -> Key {
        self.key
    }

    pub(crate) fn server(&self) -> Pid {
        let processes = self.processes.as_ref();
        processes.expect("only dropping takes it").server.pid
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(processes) = self.processes.take() {
            processes.end(std::mem::take(self.dropped.get_mut()));
        }
    }
}

fn is_gone(child: &Arc<Child>) -> bool {
    // A host that reaps all children itself has reaped this one.
    child.try_reap().unwrap_or(true)
}

fn is_there(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

fn ended() -> LaunchError {
    LaunchError::new(Stage::Request, io::ErrorKind::BrokenPipe.into())
}

fn out_of_time() -> LaunchError {
    LaunchError::new(Stage::Request, io::ErrorKind::TimedOut.into())
}

/// Waits until the session is ready.
fn ready(control: &OwnedFd, view: &View) -> Result<(), LaunchError> {
    let report = match receive(control, RecvFlags::empty()) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(out_of_time()),
        message => message.map_err(|error| LaunchError::new(Stage::Request, error))?,
    }
    .report;
    match report {
        Some(Report::Ready) => Ok(()),
        Some(Report::Failed {
            step,
            errno,
            operation,
        }) => {
            let source = if step == Step::Root {
                view.error(operation, errno)
            } else {
                io::Error::from_raw_os_error(errno)
            };
            Err(LaunchError::new(step.into(), source))
        }
        _ => Err(ended()),
    }
}

/// Which faults are the session's and which its children's.
fn faults(fault: Fault) -> (Fault, Fault) {
    let none = Fault::NONE;
    let own = [Step::Identity, Step::Namespaces, Step::Root];
    if fault.step.is_some_and(|step| own.contains(&step)) {
        (fault, none)
    } else {
        (none, fault)
    }
}

//! A running session.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use capspawn_raw::limit::LimitList;
use capspawn_raw::step::Fault;
use parking_lot::Mutex;
use rustix::event::PollFlags;

use super::places::{Change, Places};
use super::processes::Processes;
use crate::confinement::FsRules;
use crate::launch::{ChildStdio, Identity, LaunchError, Plan, Process, Stage};
use crate::sandbox::sys::linux::observe::{Observing, View, Watched};
use crate::sandbox::sys::linux::owners::Lease;
#[cfg(test)]
use crate::sandbox::sys::linux::policy::filter_pass::FilterPass;
use crate::sandbox::sys::linux::policy::set_group_id::SetGroupId;
use crate::sandbox::sys::linux::server::{Claimed, Reply, Request, Servers, any_ready};
use crate::sandbox::sys::linux::spawned::Spawned;
use crate::sandbox::sys::linux::spawner::process::Child;
use crate::sandbox::sys::linux::spawner::rlimits;
use crate::sandbox::sys::linux::spawner::tree::Tree;
use crate::status::Signal;

/// Namespaces, their pid 1 and the servers. Dropping it ends all processes in them.
#[derive(Debug)]
pub(crate) struct Session {
    /// The servers, which end when the host closes their sockets.
    pub(super) servers: Arc<Servers>,
    /// The host's end of a socket whose other end only pid 1 has. Pid 1 ends when the
    /// host closes it.
    pub(super) lifeline: OwnedFd,
    /// The limit on tasks of all children together.
    pub(super) tasks: Option<u64>,
    /// The user of the children, as the kernel counts them.
    pub(super) user: Identity,
    /// Whether its processes have changed to that user.
    pub(super) becomes_user: bool,
    /// What the filter allows, by what other users could reach when it started.
    pub(super) set_group_id: SetGroupId,
    /// None only while dropping.
    pub(super) processes: Option<Processes>,
    /// Children that were killed when their handles were dropped, and are not reaped yet.
    pub(super) unreaped: Mutex<Vec<Arc<Child>>>,
    /// The names on the host that its root depends on.
    pub(super) places: Places,
    /// The children, if the session masks something: those that end with it at once.
    pub(super) running: Mutex<Vec<Weak<Child>>>,
    /// Why the host has ended it.
    pub(super) ended_by: OnceLock<Change>,
    /// When it was last looked up for a child, or a child was given up.
    pub(super) used: Mutex<Instant>,
    /// The fault that a test arranged in children.
    pub(super) fault: Fault,
    /// How its children are observed, if they are.
    pub(super) observing: Option<Observing>,
    /// Only the server needs it; tests look for copies.
    #[cfg(test)]
    pub(super) pass: FilterPass,
}

impl Session {
    /// Returns the user of the children, as the kernel counts them.
    pub(super) fn user(&self) -> Identity {
        self.user
    }

    /// Returns the user id as which it runs, if that belongs to an owner.
    pub(super) fn lease(&self) -> Option<&Arc<Lease>> {
        self.processes.as_ref()?.lease.as_ref()
    }

    /// Returns whether a child may be started in this session: it is alive, and all that its
    /// root was built from is still there. Ends the session if what is denied may be visible
    /// in it.
    pub(crate) fn is_usable(&self) -> bool {
        if !self.is_alive() || self.ended_by().is_some() {
            return false;
        }
        match self.places.change() {
            None => true,
            Some(change @ Change::Unmasked(_)) => {
                if self.end(change) {
                    self.report_end();
                }
                false
            }
            Some(change @ Change::Moved(_)) => {
                tracing::info!("a session is replaced: {change}");
                false
            }
        }
    }

    /// Returns whether a session with the files of `rules` would get the same filter if it started now.
    pub(super) fn has_filter_of_now(&self, rules: &FsRules) -> bool {
        SetGroupId::in_session(self.user, self.becomes_user, rules) == self.set_group_id
    }

    /// Ends the session if what is denied may be visible in it.
    pub(super) fn end_if_unmasked(&self) {
        if let Some(change) = self.places.unmasked()
            && self.end(change)
        {
            self.report_end();
        }
    }

    /// Kills everything in the session because of a change on the host. Returns whether this was
    /// the first such change.
    pub(super) fn end(&self, change: Change) -> bool {
        let is_first = self.ended_by.set(change).is_ok();
        if is_first {
            // First the leaders: what pid 1 kills lives until the scheduler has run pid 1.
            for child in self.running.lock().iter().filter_map(Weak::upgrade) {
                let _ = child.signal(Signal::Kill);
            }
            self.kill();
        }
        is_first
    }

    /// Logs why the host has ended the session.
    pub(super) fn report_end(&self) {
        if let Some(change) = self.ended_by() {
            tracing::warn!("{change}");
        }
    }

    /// Returns the change on the host because of which the session was ended.
    pub(super) fn ended_by(&self) -> Option<&Change> {
        self.ended_by.get()
    }

    /// Returns the names on the host that decide what the session hides.
    pub(super) fn masking_names(&self) -> impl Iterator<Item = &Path> {
        self.places.masking()
    }

    /// Returns whether pid 1 and the first server run. (A request to a dead server
    /// usually fails at once, but waits as long as a child that is about to execute still
    /// holds the server's end of the socket.)
    pub(crate) fn is_alive(&self) -> bool {
        self.processes
            .as_ref()
            .is_some_and(|processes| self.has_pid_1() && processes.server_runs())
    }

    /// Returns whether pid 1 runs: the kernel kills all children with it.
    pub(crate) fn has_pid_1(&self) -> bool {
        !any_ready([(&self.lifeline, PollFlags::empty())])
    }

    /// Starts to observe a child that is started as `plan` says, if the children of this session are observed.
    pub(super) fn watch(&self, plan: &Plan) -> Result<Option<Watched>, LaunchError> {
        let watch = |observing: &Observing| observing.watch(View::of(plan, true, None));
        let watched = self.observing.as_ref().map(watch).transpose();
        watched.map_err(|source| LaunchError::new(Stage::Filter, source))
    }

    /// Starts what `plan` says in the session. Returns once the program executes, with the server
    /// whose domain names the child's tree, where servers have domains.
    ///
    /// # Errors
    ///
    /// The stage that failed. [`Stage::Request`] with a broken pipe means that the session
    /// has ended: the caller may start a new session and retry. With [`Stage::Reply`] the program
    /// may have run.
    pub(super) fn spawn(
        &self,
        plan: &Plan,
        stdio: &ChildStdio,
        tree: &Tree,
        watched: Option<&Watched>,
    ) -> Result<(Spawned, Option<Claimed>), LaunchError> {
        let at = |stage| move |source| LaunchError::new(stage, source);
        self.unreaped.lock().retain(|child| !is_reaped(child));
        // If the first server does not reply, the children of the others run on.
        let server = self.servers.claim().map_err(not_requested)?;
        let affinity = server.follow_caller();
        let limits = self.limits(plan, tree);
        let request = Request::new(
            plan,
            affinity.as_ref(),
            stdio,
            limits,
            tree.entry(),
            None,
            watched,
            self.fault,
        );
        let request = request.map_err(at(Stage::Spawn))?;
        let reserved = server.request(&request).map_err(not_requested)?;
        drop(request);
        match server.reply(reserved).map_err(at(Stage::Reply))? {
            Reply::Started(spawned) => {
                let keeper = self.servers.have_domains().then_some(server);
                Ok((spawned, keeper))
            }
            // Without its pid 1 a namespace admits no new process.
            Reply::Refused { step: None, .. } if !self.has_pid_1() => Err(session_ended()),
            Reply::Refused { step, errno } => Err(Reply::refusal(step, errno)),
            Reply::Missing(missing) => {
                // What the server is doing is unknown. (It is not short of descriptors for those of a request: it
                // holds none from one request to the next.)
                server.end();
                self.kill();
                Err(missing.error())
            }
        }
    }

    /// Returns the resource limits of a child: those of the plan, the mark of its tree, and the tasks of
    /// all children. In the user namespace of the session the kernel counts this user's tasks
    /// of the namespace and no others, including pid 1, the servers and zombies.
    fn limits(&self, plan: &Plan, tree: &Tree) -> LimitList {
        const PID_1_AND_FIRST_SERVER: u64 = 2;
        let mut limits = rlimits::resources(&plan.limits, tree.memory_limit());
        let own = self.servers.count().saturating_add(PID_1_AND_FIRST_SERVER);
        let tasks = self
            .tasks
            .map(|tasks| rlimits::user_tasks(tasks.saturating_add(own)));
        for limit in tasks.into_iter().chain(tree.mark().map(rlimits::mark)) {
            // There is room for all.
            let _ = limits.push(limit);
        }
        limits
    }

    /// Notes that a child is about to start, or that one has ended.
    pub(super) fn note_use(&self) {
        *self.used.lock() = Instant::now();
    }

    /// Returns for how long it has had no child, if it has none.
    pub(super) fn idle_time(&self) -> Duration {
        self.used.lock().elapsed()
    }

    /// Returns whether children have left anything that a later child would find. True also where that cannot be found out.
    /// The reply comes by `sockets`.
    pub(super) fn has_state(&self, sockets: (OwnedFd, OwnedFd)) -> bool {
        self.servers.have_left_state(sockets)
    }

    /// Ends the servers that no child has, and returns whether there were any. The next child waits for a new one, which
    /// is a fork.
    pub(super) fn end_free_servers(&self) -> bool {
        self.servers.end_free(0)
    }

    /// Remembers a child, if its session may be ended because of a change on the host.
    pub(super) fn remember(&self, child: &Arc<Child>) {
        if self.masking_names().next().is_some() {
            let mut running = self.running.lock();
            running.retain(|child| child.strong_count() > 0);
            running.push(Arc::downgrade(child));
        }
    }

    /// Keeps a killed child until it has ended and can be reaped.
    pub(crate) fn reap_later(&self, child: Arc<Child>) {
        self.unreaped.lock().push(child);
    }

    /// Kills pid 1 and the server, and with them every process in the session.
    pub(super) fn kill(&self) {
        if let Some(processes) = &self.processes {
            processes.kill();
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(processes) = self.processes.take() {
            // The processes are reaped by their group from here on.
            let _ = self.servers.close();
            processes.end(std::mem::take(self.unreaped.get_mut()));
        }
    }
}

#[cfg(test)]
impl Session {
    /// Shortens the time that a reply is awaited.
    pub(crate) fn set_reply_timeout(&self, timeout: std::time::Duration) {
        let server = self.servers.claim().expect("it starts");
        server.set_reply_timeout(timeout);
    }

    pub(crate) fn pass(&self) -> FilterPass {
        self.pass
    }

    /// Returns the server that starts the next child.
    pub(crate) fn server(&self) -> rustix::process::Pid {
        self.servers.claim().expect("it starts").pid()
    }

    /// Returns the number of servers but the first.
    pub(crate) fn server_count(&self) -> u64 {
        self.servers.count()
    }

    pub(crate) fn first_server(&self) -> rustix::process::Pid {
        let processes = self.processes.as_ref();
        processes.expect("only dropping takes it").server
    }
}

fn is_reaped(child: &Arc<Child>) -> bool {
    // An error means that it is gone: a host that reaps all its children has reaped this one.
    child.try_reap().unwrap_or(true)
}

/// Returns the error of a request that was not sent. A session that has ended is an error of its own.
fn not_requested(error: io::Error) -> LaunchError {
    match error.raw_os_error() {
        Some(libc::EPIPE | libc::ECONNRESET | libc::ENOTCONN) => session_ended(),
        _ if error.kind() == io::ErrorKind::BrokenPipe => session_ended(),
        _ if error.kind() == io::ErrorKind::TimedOut => session_timed_out(),
        _ => LaunchError::new(Stage::Request, error),
    }
}

/// The error of a request to a session that has ended.
pub(super) fn session_ended() -> LaunchError {
    LaunchError::new(Stage::Request, io::ErrorKind::BrokenPipe.into())
}

/// The error of a session whose files the host replaced while it started.
pub(super) fn session_outdated() -> LaunchError {
    let text = "files that fs.read, fs.write or fs.deny names were replaced on the host while the session started: try again";
    LaunchError::new(
        Stage::Root,
        io::Error::new(io::ErrorKind::StaleNetworkFileHandle, text),
    )
}

/// The error of a session that did not reply in time.
pub(super) fn session_timed_out() -> LaunchError {
    LaunchError::new(Stage::Request, io::ErrorKind::TimedOut.into())
}

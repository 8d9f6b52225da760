//! The servers of a session, or those of a launcher outside any session.
//!
//! The first server starts the others, and each of them serves one request at a time, so that
//! threads that spawn at once do not wait for each other. Where the kernel has scopes for
//! signals, each other server has a Landlock domain of its own and belongs to one tree, from the
//! child's start until the tree has been killed: the domain names the tree
//! (`host/native/init/session/domain.rs`). Elsewhere a server is free again once it has replied.
//!
//! Rejected: one server for all, which cannot tell the trees of its children apart.

use std::collections::VecDeque;
use std::io;
use std::ops::Deref;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use capspawn_raw::wire::{Report, ServerRequest};
use parking_lot::Mutex;
use rustix::net::sockopt::{Timeout, set_socket_passcred, set_socket_timeout};
use rustix::net::{RecvFlags, SendFlags, Shutdown, shutdown};
use rustix::process::{Pid, Signal as RawSignal, kill_process};

use super::announcements::Announcements;
use super::message::{Message, receive, socket_pair};
use super::orphans::Orphans;
use super::process::{Server, send, timed_out};
use super::reply::Reply;
use crate::launch::TreeMark;
use crate::sandbox::sys::linux::deferred::Deferred;
use crate::sandbox::sys::linux::marked;
use crate::sandbox::sys::linux::own_children::{reap, runs, try_reap};
use crate::status::Signal;

/// Free servers that are kept: 4, more than threads that usually spawn at once. Each takes some
/// 100 KiB of kernel memory and a descriptor of the host.
const KEPT: usize = 4;

/// How many ended servers are looked at when another one ends or is claimed: 4.
const AT_ONCE: usize = 4;

/// How long a first server may take to start, or to start another one, which is a fork: 10 s. Well above what that takes on
/// a machine that is emulated; a server that was stopped is replaced after it.
pub(crate) const START_TIME: Duration = Duration::from_secs(10);

/// How long a session may take to start, or a child to execute, before the session or the server is
/// ended: a file system that hangs must not block the host's thread for ever.
const REPLY_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a session may take to find out what children have left: a request behind others, each of which may start a server.
const STATE_TIMEOUT: Duration = Duration::from_secs(1);

/// How long a request may wait for room in the control socket: the server never waits
/// longer than one child takes to execute.
const SEND_TIMEOUT: Duration = Duration::from_secs(1);

/// The servers of a session, or of a launcher outside any session.
#[derive(Debug)]
pub(crate) struct Servers {
    /// The control socket of the first, which ends when the host closes it.
    first: OwnedFd,
    /// Whether each server has a domain of its own.
    have_domains: bool,
    /// What the trees of a session have left behind, all together.
    orphans: Option<Orphans>,
    announcements: Arc<Announcements>,
    /// The number with which the children of all servers announce themselves; none where each server has its own.
    number: Option<u32>,
    state: Mutex<State>,
    /// The ends of free servers that are not kept: a thousand children that end at once do not wait for
    /// the ends of a thousand servers.
    trim: Deferred,
}

#[derive(Debug)]
struct State {
    free: Vec<Free>,
    /// Servers that were started and are not reaped yet. The kernel counts as many tasks.
    count: u64,
    /// Servers that were ended and are not reaped yet, the next to be looked at first.
    ended: VecDeque<Pid>,
    /// Whether the owner of the first server reaps those that end from now on.
    is_closed: bool,
    /// How long the first server may take to start another one.
    start_time: Duration,
}

/// A server that no request and no tree has.
#[derive(Debug)]
struct Free {
    server: Arc<Server>,
    /// That of its last tree, if the server had to kill that. If it is killed before it has served the signal, nothing
    /// else names what is left.
    mark: Option<TreeMark>,
}

impl Free {
    /// Kills the last tree, if the server may have been killed before it could do so.
    fn kill_left(&self) {
        if let Some(mark) = self.mark.filter(|_| !self.server.runs())
            && let Err(error) = marked::kill(mark)
        {
            tracing::warn!(%error, "a tree whose server was killed cannot be searched for");
        }
    }
}

impl State {
    /// Looks at `most` of the servers that were ended, and reaps those that have. The others come last the next time.
    /// Returns whether any was reaped.
    fn reap(&mut self, most: usize) -> bool {
        let before = self.count;
        for _ in 0..most.min(self.ended.len()) {
            match self.ended.pop_front() {
                Some(pid) if try_reap(pid) => self.count -= 1,
                pid => self.ended.extend(pid),
            }
        }
        self.count < before
    }
}

impl Servers {
    /// Returns the servers that the one at the other end of `first` starts. Their children announce themselves with
    /// `number`, or those of each server with one of its own.
    pub(crate) fn new(
        first: OwnedFd,
        have_domains: bool,
        orphans: Option<Orphans>,
        announcements: Arc<Announcements>,
        number: Option<u32>,
    ) -> Self {
        Self {
            first,
            have_domains,
            orphans,
            announcements,
            number,
            state: Mutex::new(State {
                free: Vec::new(),
                count: 0,
                ended: VecDeque::new(),
                is_closed: false,
                start_time: START_TIME,
            }),
            trim: Deferred::default(),
        }
    }

    /// Whether each server has a domain of its own, which names the tree of its child.
    pub(crate) fn have_domains(&self) -> bool {
        self.have_domains
    }

    /// Returns the number of servers but the first.
    pub(crate) fn count(&self) -> u64 {
        self.state.lock().count
    }

    /// Returns a free server, which is started now if there is none.
    ///
    /// # Errors
    ///
    /// `EPIPE` if the first server has ended, [`io::ErrorKind::TimedOut`] if it does not reply; why it could not start another.
    pub(crate) fn claim(self: &Arc<Self>) -> io::Result<Claimed> {
        let free = loop {
            let free = {
                let mut state = self.state.lock();
                state.reap(AT_ONCE);
                state.free.pop()
            };
            match free {
                Some(free) if !free.server.runs() => self.end(free),
                free => break free,
            }
        };
        let server = match free {
            Some(free) => free.server,
            None => Arc::new(self.start()?),
        };
        Ok(Claimed {
            servers: Arc::clone(self),
            server,
            is_last: false,
            mark: None,
            is_empty: AtomicBool::new(false),
            is_signalled: AtomicBool::new(false),
        })
    }

    /// Starts a server.
    fn start(self: &Arc<Self>) -> io::Result<Server> {
        let (control, theirs) = socket_pair()?;
        set_timeouts(&control)?;
        let start_time = self.state.lock().start_time;
        set_socket_timeout(&control, Timeout::Recv, Some(start_time))?;
        // The kernel attests the pid of the sender.
        set_socket_passcred(&control, true)?;
        let number = self.number.unwrap_or_else(|| self.announcements.number());
        let request = ServerRequest::StartServer {
            has_domain: self.have_domains,
            number,
        };
        // If one is started after that, it finds its socket closed and ends.
        let message = self.request_of_first(&request, &control, theirs)?;
        match (message.report, message.sender) {
            (Some(Report::Ready { .. }), Some(pid)) => {
                // Before anything that can fail: from here on it is reaped.
                self.state.lock().count += 1;
                let is_set = set_socket_passcred(&control, false).and_then(|()| {
                    set_socket_timeout(&control, Timeout::Recv, Some(REPLY_TIMEOUT))
                });
                let server = Server::new(control, pid, number);
                match is_set {
                    Ok(()) => Ok(server),
                    Err(errno) => {
                        self.end(Free {
                            server: Arc::new(server),
                            mark: None,
                        });
                        Err(errno.into())
                    }
                }
            }
            (Some(Report::Refused { errno, pid, .. }), _) => {
                // It was forked, could not enter its domain, and exits at once.
                if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
                    reap(pid);
                }
                Err(io::Error::from_raw_os_error(errno))
            }
            _ => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    /// Sends the first server a request to which it replies at the other end of `reply`.
    fn request_of_first(
        &self,
        request: &ServerRequest<'_>,
        reply: &OwnedFd,
        theirs: OwnedFd,
    ) -> io::Result<Message> {
        let sent = send(&self.first, request, &[theirs.as_fd()], SendFlags::empty());
        sent.map_err(timed_out)?;
        drop(theirs);
        receive(reply, RecvFlags::empty()).map_err(timed_out)
    }

    /// Returns whether children have left anything in the session that a later child would find. True also where
    /// that cannot be found out. The reply comes by `sockets`.
    pub(crate) fn have_left_state(&self, sockets: (OwnedFd, OwnedFd)) -> bool {
        let report = || {
            let (reply, theirs) = sockets;
            set_socket_timeout(&reply, Timeout::Recv, Some(STATE_TIMEOUT))?;
            let message = self.request_of_first(&ServerRequest::FindState, &reply, theirs);
            message.map(|message| message.report)
        };
        !matches!(report(), Ok(Some(Report::State { found: false })))
    }

    /// Starts a server that is free, for the next request.
    ///
    /// # Errors
    ///
    /// As [`claim`](Self::claim).
    pub(crate) fn add_free(self: &Arc<Self>) -> io::Result<()> {
        let server = Arc::new(self.start()?);
        self.state.lock().free.push(Free { server, mark: None });
        Ok(())
    }

    fn give_back(self: &Arc<Self>, free: Free) {
        {
            let mut state = self.state.lock();
            if !state.is_closed {
                state.free.push(free);
                if state.free.len() > KEPT {
                    drop(state);
                    self.trim.request(self, Self::trim);
                }
                return;
            }
        }
        self.end(free);
    }

    /// Ends the free servers that are not kept, and reaps those that have ended.
    fn trim(self: &Arc<Self>) {
        let has_ended = self.end_free(KEPT);
        let mut state = self.state.lock();
        let all = state.ended.len();
        let has_reaped = state.reap(all);
        for pid in state.ended.iter().filter(|pid| runs(**pid)) {
            // One that somebody has stopped would never end.
            let _ = kill_process(*pid, RawSignal::CONT);
        }
        let is_left = !state.ended.is_empty();
        drop(state);
        // Those that the kernel holds are looked at when others end, or are claimed.
        if is_left && (has_ended || has_reaped) {
            self.trim.request(self, Self::trim);
        }
    }

    /// Ends all free servers but `kept`: those that have been free for the longest time. Returns whether there were
    /// any.
    pub(crate) fn end_free(self: &Arc<Self>, kept: usize) -> bool {
        let surplus: Vec<_> = {
            let mut state = self.state.lock();
            let count = state.free.len().saturating_sub(kept);
            state.free.drain(..count).collect()
        };
        let is_any = !surplus.is_empty();
        for free in surplus {
            self.end(free);
        }
        is_any
    }

    /// Ends the first server and those that no tree has, and returns whether there are no
    /// others. The caller reaps all that are left, by their process group: a server that ends later is not waited for by
    /// its number, which may be another process's by then.
    pub(crate) fn close(&self) -> bool {
        let _ = shutdown(&self.first, Shutdown::Both);
        let mut state = self.state.lock();
        let free = std::mem::take(&mut state.free);
        state.is_closed = true;
        // One that was ended may still start a child: it ends after that.
        let ended = std::mem::take(&mut state.ended);
        state.count -= (free.len() + ended.len()) as u64;
        let are_all = state.count == 0 && ended.is_empty();
        drop(state);
        // In a session all are killed with its pid 1.
        if self.orphans.is_none() {
            free.iter().for_each(Free::kill_left);
        }
        are_all
    }

    /// Ends a server, whose socket closes with the last reference to it, and reaps those that have
    /// ended.
    fn end(self: &Arc<Self>, free: Free) {
        free.kill_left();
        let pid = free.server.pid();
        drop(free);
        let mut state = self.state.lock();
        if state.is_closed {
            state.count -= 1;
            return;
        }
        state.ended.push_back(pid);
        // A few at a time: a thousand may end at once.
        state.reap(AT_ONCE);
        let is_left = !state.ended.is_empty();
        drop(state);
        if is_left {
            self.trim.request(self, Self::trim);
        }
    }
}

/// Limits the time that a request on `control` waits for room, and its reply is awaited.
pub(crate) fn set_timeouts(control: &OwnedFd) -> io::Result<()> {
    set_socket_timeout(control, Timeout::Send, Some(SEND_TIMEOUT))?;
    set_socket_timeout(control, Timeout::Recv, Some(REPLY_TIMEOUT))?;
    Ok(())
}

/// A server that one request, or one tree, has for itself. Dropping it gives the server back.
#[derive(Debug)]
pub(crate) struct Claimed {
    servers: Arc<Servers>,
    server: Arc<Server>,
    /// Whether the server ends when this is dropped.
    is_last: bool,
    /// That of the tree, if it has one.
    mark: Option<TreeMark>,
    /// Whether nothing of the tree is known to be left, or all of it is being killed.
    is_empty: AtomicBool,
    /// Whether the server has to kill it.
    is_signalled: AtomicBool,
}

impl Claimed {
    /// Returns the server of a tree that has `mark`.
    #[must_use]
    pub(crate) fn of_tree(mut self, mark: Option<TreeMark>) -> Self {
        self.mark = mark;
        self
    }

    /// Waits for the reply to the request, which was sent.
    pub(crate) fn reply(&self, reserved: OwnedFd) -> io::Result<Reply> {
        self.server.reply(reserved, &self.servers.announcements)
    }

    /// Returns the children that have announced themselves with the server's number and that no reply has reported.
    pub(super) fn take_unreported(&self) -> Vec<Pid> {
        let announcements = &self.servers.announcements;
        announcements.take_unreported(self.server.number())
    }

    /// Sends `signal` to the tree, see [`Server::signal_domain`].
    pub(crate) fn signal_tree(&self, signal: Signal) -> io::Result<()> {
        self.signal_domain(signal)?;
        if signal == Signal::Kill {
            self.is_signalled.store(true, Ordering::Relaxed);
            self.mark_empty();
        }
        Ok(())
    }

    /// Notes that nothing of the tree is left.
    pub(crate) fn mark_empty(&self) {
        self.is_empty.store(true, Ordering::Relaxed);
    }

    /// Returns whether nothing of the tree is left, whose leader has ended; false where that would take a search.
    pub(crate) fn is_empty(&self) -> bool {
        if self.is_empty.load(Ordering::Relaxed) {
            return true;
        }
        let is_empty = self.servers.orphans.as_ref().is_some_and(Orphans::are_none);
        if is_empty {
            self.mark_empty();
        }
        is_empty
    }

    /// Ends the server. A reply may still come, which no later request must take for its own.
    pub(crate) fn end(mut self) {
        self.is_last = true;
    }
}

impl Deref for Claimed {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

impl Drop for Claimed {
    fn drop(&mut self) {
        let server = Arc::clone(&self.server);
        // No tree is left behind in a server that another gets. One that cannot be told so ends, and kills its tree then.
        let is_empty = !self.servers.have_domains
            || self.is_empty.load(Ordering::Relaxed)
            || self.signal_tree(Signal::Kill).is_ok();
        let free = Free {
            server,
            mark: self.mark.filter(|_| *self.is_signalled.get_mut()),
        };
        let has_ended = free.mark.is_some() && !free.server.runs();
        if self.is_last || !is_empty || has_ended {
            self.servers.end(free);
        } else {
            self.servers.give_back(free);
        }
    }
}

#[cfg(test)]
impl Servers {
    /// Shortens the time in which the first server has to start another one.
    pub(crate) fn set_start_time(&self, time: Duration) {
        self.state.lock().start_time = time;
    }

    /// Returns the servers that were ended and are not reaped yet.
    pub(crate) fn ended_count(&self) -> usize {
        self.state.lock().ended.len()
    }
}

#[cfg(test)]
#[expect(
    clippy::disallowed_types,
    reason = "the tests start processes of their own"
)]
mod tests {
    use std::process::Command;

    use rustix::process::{WaitId, WaitIdOptions, waitid};
    use test_kit::eventually;

    use super::*;

    fn servers() -> (Arc<Servers>, OwnedFd) {
        let (first, theirs) = socket_pair().expect("a socket");
        let announcements = Arc::new(Announcements::new().expect("a socket"));
        let servers = Servers::new(first, false, None, announcements, None);
        (Arc::new(servers), theirs)
    }

    fn claimed(servers: &Arc<Servers>, pid: Pid) -> Claimed {
        let (control, _theirs) = socket_pair().expect("a socket");
        servers.state.lock().count += 1;
        Claimed {
            servers: Arc::clone(servers),
            server: Arc::new(Server::new(control, pid, 0)),
            is_last: true,
            mark: None,
            is_empty: AtomicBool::new(true),
            is_signalled: AtomicBool::new(false),
        }
    }

    /// Its number may be another process's by then, which nobody but its owner may wait for.
    #[test]
    fn a_server_that_ends_after_the_first_is_left_to_whoever_reaps_them_all() {
        let (servers, _theirs) = servers();
        let mut child = Command::new("/bin/true").spawn().expect("it starts");
        let pid = Pid::from_child(&child);
        waitid(
            WaitId::Pid(pid),
            WaitIdOptions::EXITED | WaitIdOptions::NOWAIT,
        )
        .expect("it is ours");
        let claimed = claimed(&servers, pid);
        assert!(!servers.close(), "one is claimed");
        drop(claimed);
        assert_eq!(servers.count(), 0);
        assert!(child.wait().expect("it is not reaped yet").success());
    }

    /// Those that do not end come first, more than are looked at at once.
    #[test]
    fn ended_servers_are_reaped_though_others_do_not_end() {
        let (servers, _theirs) = servers();
        let start = |argument: &str| {
            let child = Command::new("/bin/sleep").arg(argument).spawn();
            Pid::from_child(&child.expect("it starts"))
        };
        let hung: Vec<_> = (0..AT_ONCE + 1).map(|_| start("1000")).collect();
        let ended: Vec<_> = (0..AT_ONCE + 1).map(|_| start("0")).collect();
        for pid in hung.iter().chain(&ended) {
            drop(claimed(&servers, *pid));
        }
        // As claims do.
        eventually("end of those that end", || {
            servers.state.lock().reap(AT_ONCE);
            servers.count() == hung.len() as u64
        });
        assert_eq!(servers.ended_count(), hung.len());
        for pid in &hung {
            kill_process(*pid, RawSignal::KILL).expect("it runs");
        }
        eventually("end of all", || {
            servers.state.lock().reap(AT_ONCE);
            servers.count() == 0
        });
        assert_eq!(servers.ended_count(), 0);
    }
}

//! The servers of a session, or those of a launcher outside any session.
//!
//! The first server starts the others, and each of them serves one request at a time, so that
//! threads that spawn at once do not wait for each other. Where the kernel has scopes for
//! signals, each other server has a Landlock domain of its own and belongs to one tree, from the
//! child's start until the tree has been killed: the domain names the tree
//! (`host/native/init/session/domain.rs`). Elsewhere a server is free again once it has replied.
//!
//! Rejected: one server for all, which cannot tell the trees of its children apart.

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
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

use super::message::{Message, receive, socket_pair};
use super::orphans::Orphans;
use super::process::{Server, send, timed_out};
use super::reply::reap;
use crate::sandbox::sys::linux::deferred::Deferred;
use crate::status::Signal;

/// Free servers that are kept: 4, more than threads that usually spawn at once. Each takes some
/// 100 KiB of kernel memory and a descriptor of the host.
const KEPT: usize = 4;

/// How many ended servers are looked at when another one ends: 4.
const AT_ONCE: usize = 4;

/// How long a session may take to start, or a child to execute, before the session is
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
    state: Mutex<State>,
    /// The ends of free servers that are not kept: a thousand children that end at once do not wait for
    /// the ends of a thousand servers.
    trim: Deferred,
}

#[derive(Debug, Default)]
struct State {
    free: Vec<Arc<Server>>,
    /// Servers, free and claimed.
    count: u64,
    /// Servers that were ended and are not reaped yet.
    ended: Vec<Pid>,
    /// Whether the owner of the first server reaps those that end from now on.
    is_closed: bool,
}

impl Servers {
    /// Returns the servers that the one at the other end of `first` starts.
    pub(crate) fn new(first: OwnedFd, have_domains: bool, orphans: Option<Orphans>) -> Self {
        Self {
            first,
            have_domains,
            orphans,
            state: Mutex::default(),
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
    /// `EPIPE` if the first server has ended; why it could not start another.
    pub(crate) fn claim(self: &Arc<Self>) -> io::Result<Claimed> {
        let free = loop {
            let free = self.state.lock().free.pop();
            match free {
                Some(server) if !server.runs() => self.end(server),
                free => break free,
            }
        };
        let server = match free {
            Some(server) => server,
            None => Arc::new(self.start()?),
        };
        Ok(Claimed {
            servers: Arc::clone(self),
            server,
            is_last: false,
            is_empty: AtomicBool::new(false),
        })
    }

    /// Starts a server.
    fn start(&self) -> io::Result<Server> {
        let (control, theirs) = socket_pair()?;
        set_timeouts(&control)?;
        // The kernel attests the pid of the sender.
        set_socket_passcred(&control, true)?;
        let request = ServerRequest::StartServer {
            has_domain: self.have_domains,
        };
        let message = self.request_of_first(&request, &control, theirs)?;
        match (message.report, message.sender) {
            (Some(Report::Ready { .. }), Some(pid)) => {
                set_socket_passcred(&control, false)?;
                let mut state = self.state.lock();
                state.count += 1;
                Ok(Server::new(control, pid))
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
    /// that cannot be found out.
    pub(crate) fn have_left_state(&self) -> bool {
        let report = || {
            let (reply, theirs) = socket_pair()?;
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
    pub(crate) fn add_free(&self) -> io::Result<()> {
        let server = Arc::new(self.start()?);
        self.state.lock().free.push(server);
        Ok(())
    }

    fn give_back(self: &Arc<Self>, server: Arc<Server>) {
        {
            let mut state = self.state.lock();
            if !state.is_closed {
                state.free.push(server);
                if state.free.len() > KEPT {
                    drop(state);
                    self.trim.request(self, Self::trim);
                }
                return;
            }
        }
        self.end(server);
    }

    /// Ends the free servers that are not kept: those that have been free for the longest time.
    fn trim(&self) {
        let surplus: Vec<_> = {
            let mut state = self.state.lock();
            let count = state.free.len().saturating_sub(KEPT);
            state.free.drain(..count).collect()
        };
        for server in surplus {
            self.end(server);
        }
    }

    /// Ends the first server and those that no tree has, and returns whether there are no
    /// others. The caller reaps all that are left, by their process group: a server that ends later is not waited for by
    /// its number, which may be another process's by then.
    pub(crate) fn close(&self) -> bool {
        let _ = shutdown(&self.first, Shutdown::Both);
        let mut state = self.state.lock();
        let free = std::mem::take(&mut state.free);
        state.count -= free.len() as u64;
        state.is_closed = true;
        // One that was ended may still start a child: it ends after that.
        let ended = std::mem::take(&mut state.ended);
        state.count == 0 && ended.is_empty()
    }

    /// Ends a server, whose socket closes with the last reference to it, and reaps those that have
    /// ended.
    fn end(&self, server: Arc<Server>) {
        let pid = server.pid();
        drop(server);
        let mut state = self.state.lock();
        state.count -= 1;
        if state.is_closed {
            return;
        }
        state.ended.push(pid);
        // Those that ended first, a few at a time: a thousand may end at once.
        let mut looked_at = 0;
        state.ended.retain(|pid| {
            looked_at += 1;
            if looked_at > AT_ONCE {
                return true;
            }
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
            matches!(waitid(WaitId::Pid(*pid), options), Ok(None))
        });
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
    /// Whether nothing of the tree is known to be left, or all of it has been killed.
    is_empty: AtomicBool,
}

impl Claimed {
    /// Sends `signal` to the tree, see [`Server::signal_domain`].
    pub(crate) fn signal_tree(&self, signal: Signal) -> io::Result<()> {
        self.signal_domain(signal)?;
        if signal == Signal::Kill {
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
            || server.signal_domain(Signal::Kill).is_ok();
        if self.is_last || !is_empty {
            self.servers.end(server);
        } else {
            self.servers.give_back(server);
        }
    }
}

#[cfg(test)]
#[expect(
    clippy::disallowed_types,
    reason = "the test starts a process of its own"
)]
mod tests {
    use std::process::Command;

    use super::*;

    /// Its number may be another process's by then, which nobody but its owner may wait for.
    #[test]
    fn a_server_that_ends_after_the_first_is_left_to_whoever_reaps_them_all() {
        let (first, _theirs) = socket_pair().expect("a socket");
        let servers = Arc::new(Servers::new(first, false, None));
        servers.state.lock().count = 1;
        let mut child = Command::new("/bin/true").spawn().expect("it starts");
        let pid = Pid::from_child(&child);
        waitid(
            WaitId::Pid(pid),
            WaitIdOptions::EXITED | WaitIdOptions::NOWAIT,
        )
        .expect("it is ours");
        let (control, _theirs) = socket_pair().expect("a socket");
        let claimed = Claimed {
            servers: Arc::clone(&servers),
            server: Arc::new(Server::new(control, pid)),
            is_last: true,
            is_empty: AtomicBool::new(true),
        };
        assert!(!servers.close(), "one is claimed");
        drop(claimed);
        assert_eq!(servers.count(), 0);
        assert!(child.wait().expect("it is not reaped yet").success());
    }
}

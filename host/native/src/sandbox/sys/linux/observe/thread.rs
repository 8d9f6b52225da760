//! The thread that observes one child and what that starts.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use capspawn_raw::filter::Instruction;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

use super::address;
use super::calls::{self, OBSERVED, PathArg};
use super::child_limits::{self, TaskCount};
use super::listener::{Call, Listener, Reply, receive_listener};
use super::log::Log;
use super::memory;
use super::names;
use super::view::View;
use crate::confinement::Network;
use crate::launch::{Access, Observer, Outcome, Subject};
use crate::sandbox::sys::linux::fd::memfd;
use crate::sandbox::sys::linux::fd::stdio::above_stdio;
use crate::sandbox::sys::linux::policy::interpret::{Returned, interpret};
use crate::sandbox::sys::linux::policy::syscalls::{self, FilterOptions};

/// What all observed children of one policy have in common.
#[derive(Debug, Clone)]
pub(crate) struct Observing {
    observer: Observer,
    /// A sealed file with the filter that reports.
    filter: Arc<OwnedFd>,
    /// The filter that decides.
    decides: Arc<[Instruction]>,
}

/// The start of an observation: what the child receives, and what is noted of it.
#[derive(Debug)]
pub(crate) struct Watched {
    observing: Observing,
    socket: OwnedFd,
    log: Arc<Log>,
}

impl Observing {
    /// Prepares to observe children under the filter of `network` and `options`, of a session or outside.
    pub(crate) fn new(
        observer: Observer,
        network: Network,
        options: FilterOptions,
        in_session: bool,
    ) -> io::Result<Self> {
        let observed = syscalls::observed(network, options, in_session, OBSERVED);
        Ok(Self {
            observer,
            filter: Arc::new(above_stdio(memfd::filter(&observed.filter)?)?),
            decides: observed.decides.into(),
        })
    }

    /// Starts a thread that observes a child with this `view`. It ends with the child and all that the child started, or
    /// when the child did not start.
    pub(crate) fn watch(&self, view: View) -> io::Result<Watched> {
        let flags = SocketFlags::CLOEXEC;
        let (own, childs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        let log = Arc::new(Log::new(self.observer, view));
        let thread = Thread {
            decides: Arc::clone(&self.decides),
            log: Arc::clone(&log),
            tasks: TaskCount::default(),
        };
        let builder = std::thread::Builder::new().name("capspawn-observer".to_owned());
        builder.spawn(move || thread.run(&own))?;
        Ok(Watched {
            observing: self.clone(),
            socket: above_stdio(childs)?,
            log,
        })
    }
}

impl Watched {
    /// Returns the file with the child's filter.
    pub(crate) fn filter(&self) -> &OwnedFd {
        &self.observing.filter
    }

    /// Returns the socket on which the child passes its listener.
    pub(crate) fn socket(&self) -> &OwnedFd {
        &self.socket
    }

    /// Returns the log; the host's copy of the child's socket is closed.
    pub(crate) fn into_log(self) -> Arc<Log> {
        self.log
    }
}

struct Thread {
    decides: Arc<[Instruction]>,
    log: Arc<Log>,
    tasks: TaskCount,
}

impl Thread {
    fn run(mut self, socket: &OwnedFd) {
        let Ok(Some(listener)) = receive_listener(socket) else {
            return;
        };
        let listener = Listener::new(listener);
        if let Err(error) = self.observe(&listener) {
            tracing::warn!(%error, "the observer of a child ended: what the child calls from now on is refused");
        }
    }

    /// Answers until no process with the filter is left.
    fn observe(&mut self, listener: &Listener) -> io::Result<()> {
        loop {
            let mut ready = [PollFd::new(listener, PollFlags::IN)];
            match poll(&mut ready, None) {
                Err(Errno::INTR) => continue,
                other => other?,
            };
            let [ready] = ready;
            if !ready.revents().contains(PollFlags::IN) {
                return Ok(());
            }
            let Some(call) = listener.receive()? else {
                continue;
            };
            let reply = self.decide(&call);
            self.note(listener, &call, reply);
            listener.answer(&call, reply);
        }
    }

    /// Returns the answer of the filter that decides. What is not clearly allowed is refused.
    fn decide(&self, call: &Call) -> Reply {
        match interpret(&self.decides, call.arch, call.number, call.args) {
            Returned::Allow => Reply::Continue,
            Returned::Errno(errno) => Reply::Errno(errno),
            Returned::Kill | Returned::Other => Reply::Errno(1),
        }
    }

    fn note(&mut self, listener: &Listener, call: &Call, reply: Reply) {
        if let Reply::Errno(errno) = reply {
            if errno != 0 {
                self.note_denied(listener, call);
            }
            return;
        }
        let limits = &self.log.view.limits;
        let exceeded = if calls::makes_task(call.number) {
            self.tasks.exceeded(call.task, limits)
        } else if calls::opens(call.number) {
            child_limits::open_files(call.task, limits)
        } else if libc::c_long::from(call.number) == libc::SYS_mmap {
            child_limits::memory(call.task, call.args).and_then(|(used, exceeded)| {
                self.log.note_memory(used);
                exceeded
            })
        } else {
            None
        };
        if let Some(limit) = exceeded {
            self.log.note(limit, Outcome::Refused);
        }
        if libc::c_long::from(call.number) == libc::SYS_connect
            && let Some(address) = connected(listener, call)
        {
            let outcome = self.reaches(&address);
            self.log.note(Subject::Connection { address }, outcome);
        }
        let named = calls::paths(call.number, call.args);
        let named: Vec<_> = named
            .into_iter()
            .filter_map(|it| Some((absolute(call, it)?, it)))
            .collect();
        // The caller may have been killed, and its number be another task's: then nothing of it is noted.
        if named.is_empty() || !listener.is_waiting(call) {
            return;
        }
        for (
            path,
            PathArg {
                access, follows, ..
            },
        ) in named
        {
            self.log.note_path(&path, access, follows);
        }
    }

    /// Notes a call that the filter denies.
    fn note_denied(&self, listener: &Listener, call: &Call) {
        let [first, ..] = call.args;
        let subject = match libc::c_long::from(call.number) {
            libc::SYS_socket if let Some(family) = address::family(calls::int(first)) => {
                Subject::Connection {
                    address: family.to_owned(),
                }
            }
            libc::SYS_connect if let Some(address) = connected(listener, call) => {
                Subject::Connection { address }
            }
            _ => Subject::Call {
                name: names::name(call.number),
            },
        };
        self.log.note(subject, Outcome::Refused);
    }

    /// Whether the child's network leads to `address`.
    fn reaches(&self, address: &str) -> Outcome {
        let is_local = address.starts_with("127.") || address.starts_with("[::1]");
        match self.log.view.confinement.network {
            Network::Host => Outcome::Permitted,
            Network::Loopback if is_local => Outcome::Private,
            Network::Loopback | Network::None => Outcome::Refused,
        }
    }
}

/// Returns the absolute path that `path` names, as the caller sees it.
fn absolute(call: &Call, path: PathArg) -> Option<PathBuf> {
    let named = memory::path(call.task, path.address)?;
    let is_link = |access| matches!(access, Access::Look | Access::Execute);
    if named.as_os_str().is_empty() && is_link(path.access) {
        // The descriptor itself (`AT_EMPTY_PATH`), which was opened before.
        return None;
    }
    let named = match named.strip_prefix("/proc/self") {
        Ok(rest) => Path::new("/proc").join(call.task.to_string()).join(rest),
        Err(_) => named,
    };
    match named.is_absolute() {
        true => Some(named),
        false => Some(memory::directory(call.task, path.dir)?.join(named)),
    }
}

/// Returns the address of `connect(2)`.
fn connected(listener: &Listener, call: &Call) -> Option<String> {
    let [_, at, length, ..] = call.args;
    let mut bytes = [0; address::MAX_BYTES];
    let length = usize::try_from(length).ok()?.min(bytes.len());
    let room = bytes.get_mut(..length)?;
    let count = memory::read(call.task, at, room).ok()?;
    let text = address::text(room.get(..count)?);
    text.filter(|_| listener.is_waiting(call))
}

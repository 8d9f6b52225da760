//! Servers of children outside a session.
//!
//! Where the kernel has scopes for signals, a server starts the children of tier B too: its Landlock
//! domain names their trees, and when the host ends, the server kills its tree. It
//! also changes the user of a child under a root host, which the vfork child of the host cannot do.

use std::io;
use std::os::fd::AsRawFd;
use std::sync::Arc;

use capspawn_raw::wire::{InitArgs, Report};
use rustix::net::RecvFlags;
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, kill_process, kill_process_group, waitid,
};

use crate::launch::{LaunchError, Stage};
use crate::sandbox::sys::linux::reaper::{in_background, reap_ending, reap_ending_group};
use crate::sandbox::sys::linux::server::{
    Announcements, Claimed, Reply, Request, Servers, reap, receive, set_timeouts, socket_pair,
};
use crate::sandbox::sys::linux::spawned::Spawned;

/// The servers of one launcher.
#[derive(Debug)]
pub(crate) struct AloneServers {
    servers: Arc<Servers>,
    announcements: Arc<Announcements>,
    /// Their number there.
    number: u32,
    /// None only while dropping.
    first: Option<Spawned>,
}

impl AloneServers {
    /// Starts the first server through `start`, which gets its arguments and the descriptors that it inherits.
    pub(super) fn new(
        announcements: Arc<Announcements>,
        start: impl FnOnce(InitArgs, &[i32]) -> Result<Spawned, LaunchError>,
    ) -> Result<Self, LaunchError> {
        let at = |source| LaunchError::new(Stage::Spawn, source);
        let (control, theirs) = socket_pair().map_err(at)?;
        set_timeouts(&control).map_err(at)?;
        let number = announcements.number();
        let args = InitArgs::Serve {
            control: theirs.as_raw_fd(),
            announcements: announcements.childrens_end().as_raw_fd(),
            number,
        };
        let keep = [
            theirs.as_raw_fd(),
            announcements.childrens_end().as_raw_fd(),
        ];
        let first = start(args, &keep)?;
        drop(theirs);
        let report = receive(&control, RecvFlags::empty()).map_err(at)?.report;
        if !matches!(report, Some(Report::Ready { .. })) {
            drop(control);
            reap_ending(first);
            return Err(at(io::Error::other(
                "the server of the children did not start",
            )));
        }
        Ok(Self {
            servers: Arc::new(Servers::new(control, true, None)),
            announcements,
            number,
            first: Some(first),
        })
    }

    /// Returns the pid of the first server.
    #[cfg(test)]
    pub(crate) fn first(&self) -> Pid {
        self.first.as_ref().expect("only dropping takes it").pid
    }

    /// Returns a server for one tree.
    pub(crate) fn claim(&self) -> io::Result<Claimed> {
        self.servers.claim()
    }

    /// Starts the child that `request` describes by `server`. Returns once the program executes.
    pub(crate) fn spawn(
        &self,
        server: Claimed,
        request: &Request<'_>,
    ) -> Result<(Spawned, Claimed), LaunchError> {
        let at = |stage| move |source| LaunchError::new(stage, source);
        let reserved = server.request(request).map_err(at(Stage::Request))?;
        let reply = server.reply(reserved, &self.announcements);
        match reply.map_err(at(Stage::Reply))? {
            Reply::Started(spawned) => Ok((spawned, server)),
            Reply::Refused { step, errno } => Err(Reply::refusal(step, errno)),
            Reply::Missing(missing) => {
                // What the server is doing is unknown. When its socket is closed it kills what it has started.
                server.end();
                Err(missing.error())
            }
        }
    }
}

/// Whether the number is still that of a child of the host: other code of the host may have reaped it.
fn is_child(pid: Pid) -> bool {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    waitid(WaitId::Pid(pid), options).is_ok()
}

impl Drop for AloneServers {
    fn drop(&mut self) {
        let has_no_tree = self.servers.close();
        self.announcements
            .take_unreported(self.number)
            .into_iter()
            .filter(|pid| is_child(*pid))
            .for_each(|pid| {
                // Its server was killed before it could report it, and may have been before it led a group.
                let _ = kill_process_group(pid, Signal::KILL);
                let _ = kill_process(pid, Signal::KILL);
                // It may hang in the kernel.
                in_background(move || reap(pid));
            });
        // The servers end with their sockets, at once; but children that still run hold some.
        if let Some(first) = self.first.take() {
            reap_ending_group(&first, !has_no_tree);
        }
    }
}

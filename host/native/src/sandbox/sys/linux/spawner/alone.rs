//! Servers of children outside a session.
//!
//! Where the kernel has scopes for signals, a server starts the children of tier B too: its Landlock
//! domain names their trees, and when the host ends, the server kills its tree. It
//! also changes the user of a child under a root host, which the vfork child of the host cannot do.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use capspawn_raw::wire::{InitArgs, Report};
use rustix::net::RecvFlags;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
#[cfg(test)]
use rustix::process::Pid;
use rustix::process::{Signal, kill_process_group, pidfd_send_signal};

use crate::launch::{LaunchError, Stage};
use crate::sandbox::sys::linux::own_children::runs;
use crate::sandbox::sys::linux::reaper::{reap_ending, reap_ending_group};
use crate::sandbox::sys::linux::server::{
    Announcements, Claimed, Missing, Reply, Request, Servers, end_with_child, receive,
    set_timeouts, socket_pair, timed_out,
};
use crate::sandbox::sys::linux::spawned::Spawned;

/// The servers of one launcher.
#[derive(Debug)]
pub(crate) struct AloneServers {
    servers: Arc<Servers>,
    /// None only while dropping.
    first: Option<Spawned>,
}

impl AloneServers {
    /// Starts the first server through `start`, which gets its arguments and the descriptors that it inherits. The server has
    /// `start_time` to report that it takes requests.
    ///
    /// # Errors
    ///
    /// The step that failed; [`Stage::Request`] with [`io::ErrorKind::TimedOut`] where it does not report in time, and with a
    /// broken pipe where it was killed. No process is left.
    pub(super) fn new(
        announcements: Arc<Announcements>,
        start_time: Duration,
        start: impl FnOnce(InitArgs, &[i32]) -> Result<Spawned, LaunchError>,
    ) -> Result<Self, LaunchError> {
        let at = |source| LaunchError::new(Stage::Spawn, source);
        let (control, theirs) = socket_pair().map_err(at)?;
        set_timeouts(&control).map_err(at)?;
        set_socket_timeout(&control, Timeout::Recv, Some(start_time))
            .map_err(|errno| at(errno.into()))?;
        let args = InitArgs::Serve {
            control: theirs.as_raw_fd(),
            announcements: announcements.childrens_end().as_raw_fd(),
        };
        let keep = [
            theirs.as_raw_fd(),
            announcements.childrens_end().as_raw_fd(),
        ];
        let first = start(args, &keep)?;
        drop(theirs);
        if let Err(error) = wait_until_ready(&control) {
            kill(&first);
            reap_ending(first);
            return Err(error);
        }
        Ok(Self {
            servers: Arc::new(Servers::new(control, true, None, announcements, None)),
            first: Some(first),
        })
    }

    /// Returns the pid of the first server.
    #[cfg(test)]
    pub(crate) fn first(&self) -> Pid {
        self.first.as_ref().expect("only dropping takes it").pid
    }

    /// Returns the servers.
    #[cfg(test)]
    pub(crate) fn servers(&self) -> &Servers {
        &self.servers
    }

    /// Returns a server for one tree.
    ///
    /// # Errors
    ///
    /// [`Stage::Request`] with [`io::ErrorKind::TimedOut`] where the first server does not reply, and with a broken pipe where
    /// it was killed: nothing runs, and other servers may start the child. Else why there is no server.
    pub(crate) fn claim(&self) -> Result<Claimed, LaunchError> {
        self.servers.claim().map_err(|error| {
            if error.kind() == io::ErrorKind::TimedOut {
                // Others that wait for its reply do so no longer.
                self.first.iter().for_each(kill);
            }
            LaunchError::new(Stage::Request, error)
        })
    }

    /// Starts the child that `request` describes by `server`. Returns once the program executes.
    ///
    /// # Errors
    ///
    /// The step that failed. [`Stage::Reply`] where no reply came: the server and its child have been killed, whose
    /// program may have run.
    pub(crate) fn spawn(
        server: Claimed,
        request: &Request<'_>,
    ) -> Result<(Spawned, Claimed), LaunchError> {
        let at = |stage| move |source| LaunchError::new(stage, source);
        let reserved = server.request(request).map_err(at(Stage::Request))?;
        match server.reply(reserved).map_err(at(Stage::Reply))? {
            Reply::Started(spawned) => Ok((spawned, server)),
            Reply::Refused { step, errno } => Err(Reply::refusal(step, errno)),
            Reply::Missing(missing) => {
                match missing {
                    Missing::Unread => server.end(),
                    Missing::Ended | Missing::Late => end_with_child(server),
                }
                Err(missing.error())
            }
        }
    }
}

/// Waits until the first server takes requests.
fn wait_until_ready(control: &OwnedFd) -> Result<(), LaunchError> {
    let at = |source| LaunchError::new(Stage::Request, source);
    let message = receive(control, RecvFlags::empty());
    let message = message.map_err(|error| at(timed_out(error)))?;
    match message.report {
        Some(Report::Ready { .. }) => Ok(()),
        Some(Report::Failed { step, errno, .. }) => Err(LaunchError::new(
            step.into(),
            io::Error::from_raw_os_error(errno),
        )),
        // It was killed.
        _ => Err(at(io::ErrorKind::BrokenPipe.into())),
    }
}

/// Kills a first server, which has no tree.
fn kill(first: &Spawned) {
    let _ = pidfd_send_signal(&first.pidfd, Signal::KILL);
}

impl Drop for AloneServers {
    fn drop(&mut self) {
        let Some(first) = self.first.take() else {
            return;
        };
        // Those that somebody has stopped would not end with their sockets.
        if runs(first.pid) {
            let _ = kill_process_group(first.pid, Signal::CONT);
        }
        kill(&first);
        let has_no_tree = self.servers.close();
        // The servers end with their sockets, at once; but children that still run hold some.
        reap_ending_group(&first, !has_no_tree);
    }
}

#[cfg(test)]
#[expect(
    clippy::disallowed_types,
    reason = "the tests start processes of their own"
)]
mod tests {
    use std::os::fd::BorrowedFd;
    use std::process::Command;

    use rustix::process::{PidfdFlags, pidfd_open};

    use super::*;
    use crate::sandbox::sys::linux::own_children::try_reap;

    /// Starts servers of which the first is a process that never reports, and returns why there are none. The
    /// process has ended, and is reaped.
    fn failure(keeps_socket: bool) -> LaunchError {
        let announcements = Arc::new(Announcements::new().expect("a socket"));
        let mut kept = None;
        let mut pid = None;
        let servers = AloneServers::new(announcements, Duration::from_millis(20), |args, _| {
            let InitArgs::Serve { control, .. } = args else {
                panic!("{args:?}");
            };
            if keeps_socket {
                #[expect(unsafe_code, reason = "the arguments have a number")]
                // SAFETY: the caller keeps the descriptor open until this has returned.
                let control = unsafe { BorrowedFd::borrow_raw(control) };
                kept = Some(control.try_clone_to_owned().expect("a copy"));
            }
            let child = Command::new("/bin/sleep").arg("1000").spawn();
            let started = Pid::from_child(&child.expect("it starts"));
            pid = Some(started);
            Ok(Spawned {
                pid: started,
                pidfd: pidfd_open(started, PidfdFlags::empty()).expect("it is not reaped"),
            })
        });
        let pid = pid.expect("it was started");
        assert!(!runs(pid) && try_reap(pid));
        servers.expect_err("the first reports nothing")
    }

    #[test]
    fn a_first_server_that_does_not_report_is_killed_and_reaped() {
        let error = failure(true);
        assert_eq!(error.stage, Stage::Request);
        assert_eq!(error.shortage(), Some(crate::shortage::Shortage::Time));
    }

    #[test]
    fn a_first_server_whose_socket_ends_is_killed_and_reaped() {
        let error = failure(false);
        assert_eq!(error.stage, Stage::Request);
        assert_eq!(error.shortage(), Some(crate::shortage::Shortage::Killed));
    }
}

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
use crate::sandbox::sys::linux::own_children::{reap_group, reap_group_within, runs};
use crate::sandbox::sys::linux::server::{
    Announcements, Claimed, FirstIsSilent, Reply, Request, Servers, end_with_child, receive,
    set_timeouts, socket_pair,
};
use crate::sandbox::sys::linux::spawned::Spawned;

/// How long dropping the servers waits for their end, which comes at once unless somebody has stopped one: 1 s.
const END_TIME: Duration = Duration::from_secs(1);

/// The servers of one launcher.
#[derive(Debug)]
pub(crate) struct AloneServers {
    servers: Arc<Servers>,
    first: Spawned,
}

impl AloneServers {
    /// Starts the first server through `start`, which gets its arguments and the descriptors that it inherits. The server has
    /// `start_time` to report that it takes requests.
    ///
    /// # Errors
    ///
    /// The step that failed; [`Stage::Request`] with [`FirstIsSilent`] where it does not report in time, and with a broken
    /// pipe where it was killed. No process is left.
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
            first.wait();
            return Err(error);
        }
        Ok(Self {
            servers: Arc::new(Servers::new(control, true, None, announcements, None)),
            first,
        })
    }

    /// Returns the pid of the first server.
    #[cfg(test)]
    pub(crate) fn first(&self) -> Pid {
        self.first.pid
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
    /// [`Stage::Request`] with [`FirstIsSilent`] where the first server does not reply, and with a broken pipe where it was
    /// killed: nothing runs, and other servers may start the child. Else why there is no server.
    pub(crate) fn claim(&self) -> Result<Claimed, LaunchError> {
        self.servers.claim().map_err(|error| {
            if FirstIsSilent::is(&error) {
                // Others that wait for its reply do so no longer.
                kill(&self.first);
            }
            LaunchError::new(Stage::Request, error)
        })
    }

    /// Starts the child that `request` describes by `server`. Returns once the program executes.
    ///
    /// # Errors
    ///
    /// The step that failed. [`Stage::Request`] where no reply came: the server and its child have been killed.
    pub(crate) fn spawn(
        server: Claimed,
        request: &Request<'_>,
    ) -> Result<(Spawned, Claimed), LaunchError> {
        let at = |source| LaunchError::new(Stage::Request, source);
        server.request(request).map_err(at)?;
        match server.reply().map_err(at)? {
            Reply::Started(spawned) => Ok((spawned, server)),
            Reply::Refused { step, errno } => Err(Reply::refusal(step, errno)),
            Reply::Missing { timed_out } => {
                end_with_child(server);
                Err(at(match timed_out {
                    true => io::ErrorKind::TimedOut.into(),
                    false => io::ErrorKind::BrokenPipe.into(),
                }))
            }
        }
    }
}

/// Waits until the first server takes requests.
fn wait_until_ready(control: &OwnedFd) -> Result<(), LaunchError> {
    let at = |source| LaunchError::new(Stage::Request, source);
    let message = receive(control, RecvFlags::empty());
    let message = message.map_err(|error| at(FirstIsSilent::instead_of_timeout(error)))?;
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
        let first = self.first.pid;
        // Those that somebody has stopped would not end with their sockets.
        if runs(first) {
            let _ = kill_process_group(first, Signal::CONT);
        }
        kill(&self.first);
        // The servers end with their sockets, at once.
        if self.servers.close() && reap_group_within(first, END_TIME) {
            return;
        }
        // Children that still run hold some.
        let thread = std::thread::Builder::new().name("capspawn-end".into());
        if let Err(error) = thread.spawn(move || reap_group(first)) {
            tracing::debug!(%error, "ended servers are left to the end of the host");
        }
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
        assert!(FirstIsSilent::is(&error.source), "{error}");
        assert!(crate::launch::is_shortage(&error.source));
    }

    #[test]
    fn a_first_server_whose_socket_ends_is_killed_and_reaped() {
        let error = failure(false);
        assert_eq!(error.stage, Stage::Request);
        assert_eq!(error.source.kind(), io::ErrorKind::BrokenPipe);
    }
}

//! The start of a session: its root, its namespaces, its first processes.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use capspawn_raw::step::{Fault, Step};
use capspawn_raw::wire::Report;
use parking_lot::Mutex;
use rustix::net::RecvFlags;

use super::configuration;
use super::foundation::Foundation;
use super::instance::{Session, session_ended, session_outdated, session_timed_out};
use super::processes::Processes;
use super::profile::Profile;
use super::root_layout::RootLayout;
use super::user::SessionUser;
use crate::launch::{LaunchError, Scope, Stage};
use crate::sandbox::sys::linux::fd::stdio::above_stdio;
use crate::sandbox::sys::linux::observe::Observing;
use crate::sandbox::sys::linux::owners::Lease;
use crate::sandbox::sys::linux::policy::filter_pass::FilterPass;
use crate::sandbox::sys::linux::policy::landlock;
use crate::sandbox::sys::linux::policy::set_group_id::SetGroupId;
use crate::sandbox::sys::linux::server::{Orphans, Servers, receive, set_timeouts, socket_pair};
use crate::sandbox::sys::linux::spawner::Spawner;
use crate::sandbox::sys::linux::spawner::services::SessionFiles;
use crate::sandbox::sys::linux::spawner::start::Membership;

impl Session {
    /// Starts a session as [`Session::start_for`] does, as the user that the children of all
    /// owners have in common.
    pub(crate) fn start(spawner: &Spawner, profile: &Profile) -> Result<Self, LaunchError> {
        Self::start_as(None, spawner, profile)
    }

    /// Starts a session as [`Session::start_for`] does, before there is a guest for it: with the user id of `lease`, or
    /// with one that is no owner's yet where owners have ids of their own. Its first child does not wait for a server.
    pub(super) fn start_ahead(
        lease: Option<Arc<Lease>>,
        spawner: &Spawner,
        profile: &Profile,
    ) -> Result<Self, LaunchError> {
        let lease = match (lease, spawner.owners()) {
            (None, Some(owners)) => Some(owners.reserve()?),
            (lease, _) => lease,
        };
        let session = Self::start_as(lease, spawner, profile)?;
        session
            .servers
            .add_free()
            .map_err(|error| LaunchError::new(Stage::Request, error))?;
        Ok(session)
    }

    /// Creates the namespaces and the root, and starts pid 1 and the server, as the user of the
    /// owner of `scope` where there is one. Takes 2 to 4 ms.
    ///
    /// # Errors
    ///
    /// The stage that failed, with the path of the root or masked path at fault. No
    /// process is left.
    pub(crate) fn start_for(
        scope: Scope,
        spawner: &Spawner,
        profile: &Profile,
    ) -> Result<Self, LaunchError> {
        let owners = spawner.owners();
        let lease = owners.map(|owners| owners.lease(scope)).transpose()?;
        Self::start_as(lease, spawner, profile)
    }

    fn start_as(
        lease: Option<Arc<Lease>>,
        spawner: &Spawner,
        profile: &Profile,
    ) -> Result<Self, LaunchError> {
        let at = |stage| move |source| LaunchError::new(stage, source);
        let rules = &profile.confinement.fs;
        // First: what the host changes from here on is noticed.
        let foundation = Foundation::new(rules).map_err(at(Stage::Root))?;
        let user = SessionUser::choose(spawner, lease, foundation.roots())?;
        let network = profile.confinement.network;
        let layout = foundation.layout(network, profile.tmpfs_bytes, &user.mounts);
        let layout = layout.map_err(at(Stage::Root))?;
        let ruleset =
            landlock::session_ruleset(&profile.confinement).map_err(at(Stage::Ruleset))?;
        let ruleset = ruleset
            .map(above_stdio)
            .transpose()
            .map_err(at(Stage::Ruleset))?;
        let pass = FilterPass::draw().map_err(at(Stage::Spawn))?;
        let cgroup = spawner.cgroups().servers().map_err(at(Stage::Cgroup))?;
        let (hides_cgroup, has_domain) = (cgroup.is_none(), ruleset.is_some());
        let set_group_id = SetGroupId::in_session(user.identity, user.becomes, rules);
        let options = configuration::options(set_group_id, has_domain);
        let observing = spawner
            .observer()
            .map(|observer| Observing::new(observer, network, options, true));
        let observing = observing.transpose().map_err(at(Stage::Filter))?;
        let file = configuration::file(
            profile,
            &layout,
            &user,
            options,
            hides_cgroup,
            pass,
            spawner.observer().is_some(),
        );
        let file = file.and_then(above_stdio);
        let file = file.map_err(at(Stage::Spawn))?;
        let (control, servers_end) = socket_pair().map_err(at(Stage::Spawn))?;
        let (lifeline, pid_1s_end) = socket_pair().map_err(at(Stage::Spawn))?;
        let announcements = spawner.announcements().map_err(at(Stage::Spawn))?;
        let number = announcements.number();
        set_timeouts(&control).map_err(at(Stage::Spawn))?;
        let faults = Faults::of(spawner.fault());
        let files = SessionFiles {
            configuration: file.as_fd(),
            control: servers_end.as_fd(),
            lifeline: pid_1s_end.as_fd(),
            announcements: announcements.childrens_end(),
            ruleset: ruleset.as_ref(),
            mounts: user.mounts.descriptors().collect(),
        };
        let cgroup = cgroup.as_ref().map(Membership::of).unwrap_or_default();
        let server = spawner.start_session(&files, cgroup, faults.session)?;
        drop((servers_end, pid_1s_end));
        let processes = Processes {
            // Until it is reaped its pid is not another's.
            server: server.pid,
            announcements: Arc::clone(&announcements),
            number,
            lease: user.lease,
        };
        let ready = wait_until_ready(&control, &layout);
        let settled = ready.and_then(|pid_1| {
            let places = foundation.settled(rules).ok_or_else(session_outdated)?;
            Ok((pid_1, places))
        });
        let (pid_1, places) = match settled {
            Ok(settled) => settled,
            Err(error) => {
                drop((control, lifeline));
                processes.end(Vec::new());
                return Err(error);
            }
        };
        Ok(Self {
            tasks: profile.processes,
            user: user.identity,
            becomes_user: user.becomes,
            set_group_id,
            servers: Arc::new(Servers::new(
                control,
                landlock::has_signal_scope(),
                Some(Orphans::of(pid_1)),
                announcements,
                Some(number),
            )),
            lifeline,
            processes: Some(processes),
            unreaped: Mutex::default(),
            places,
            running: Mutex::default(),
            ended_by: OnceLock::new(),
            used: Mutex::new(Instant::now()),
            fault: faults.child,
            observing,
            #[cfg(test)]
            pass,
        })
    }
}

/// Waits until the session is ready for requests, and returns the number of its pid 1.
fn wait_until_ready(control: &OwnedFd, layout: &RootLayout) -> Result<u32, LaunchError> {
    let report = match receive(control, RecvFlags::empty()) {
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
            return Err(session_timed_out());
        }
        message => message.map_err(|error| LaunchError::new(Stage::Request, error))?,
    }
    .report;
    match report {
        Some(Report::Ready { pid_1 }) => Ok(pid_1),
        Some(Report::Failed {
            step,
            errno,
            operation,
        }) => {
            let source = if step == Step::Root {
                layout.error(operation, errno)
            } else {
                std::io::Error::from_raw_os_error(errno)
            };
            Err(LaunchError::new(step.into(), source))
        }
        _ => Err(session_ended()),
    }
}

/// The fault of a test, for the processes in which its step is taken.
struct Faults {
    session: Fault,
    child: Fault,
}

impl Faults {
    fn of(fault: Fault) -> Self {
        let steps = [Step::Identity, Step::Namespaces, Step::Root];
        let (session, child) = if fault.step.is_some_and(|step| steps.contains(&step)) {
            (fault, Fault::NONE)
        } else {
            (Fault::NONE, fault)
        };
        Self { session, child }
    }
}

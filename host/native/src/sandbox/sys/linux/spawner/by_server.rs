//! Starts a child outside a session by a server, whose domain names the child's tree.

use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use capspawn_raw::user::ChildUser;

use super::alone::AloneServers;
use super::process::Child;
use super::tree::Tree;
use super::{Spawner, rlimits};
use crate::launch::{ChildStdio, Identity, LaunchError, Plan, Stage};
use crate::sandbox::sys::linux::observe::{Observing, View, Watched};
use crate::sandbox::sys::linux::policy::cache::Policy;
use crate::sandbox::sys::linux::server::{AloneFiles, AloneUser, Request};
use crate::sandbox::sys::linux::tmp;
use crate::status::Signal;

impl Spawner {
    /// Starts what `plan` says under `policy`, as the user `uid` or as the one that all owners have in common. `tmp` is the
    /// temporary directory of its guest. Returns once the program executes.
    ///
    /// # Errors
    ///
    /// The stage that failed. No process of the tree is left, or is not for long.
    pub(crate) fn start_by_server(
        &self,
        plan: &Plan,
        stdio: &ChildStdio,
        policy: &Policy,
        tmp: Option<&Path>,
        uid: Option<u32>,
        tree: Tree,
    ) -> Result<Child, LaunchError> {
        let at = |stage| move |source| LaunchError::new(stage, source);
        let (common, changes) = self.user();
        let user = Identity {
            uid: uid.unwrap_or(common.uid),
            ..common
        };
        let tasks = match tree.limits_tasks() {
            true => None,
            false => self.user_tasks(&plan.limits, user),
        };
        let mut limits = rlimits::alone(&plan.limits, tree.memory_limit());
        let changed = (changes || uid.is_some()).then(|| ChildUser {
            uid: user.uid,
            gid: user.gid,
            tasks: tasks.map(|limit| limit.values[0]),
        });
        let own_tasks = tasks.filter(|_| changed.is_none());
        for limit in own_tasks.into_iter().chain(tree.mark().map(rlimits::mark)) {
            // There is room for all.
            let _ = limits.push(limit);
        }
        // A path that is no text was not chosen.
        let variable = tmp.and_then(Path::to_str);
        let watched = self.watch(plan, policy, tmp)?;
        let files = AloneFiles {
            variable: variable.map(|path| (tmp::VARIABLE, path)),
            cwd: plan.cwd.dir.as_fd(),
            ruleset: policy.ruleset().map(AsFd::as_fd),
            filter: match watched {
                Some(_) => None,
                None => policy.filter_file().map(AsFd::as_fd),
            },
        };
        let user = AloneUser {
            user: changed,
            // The change of the user locks them.
            lock_securebits: changed.is_none() && self.lock_securebits,
        };
        let attempt = || -> Result<_, LaunchError> {
            let servers = self.alone_servers()?;
            let spawned = servers.claim().and_then(|server| {
                let affinity = server.follow_caller();
                let request = Request::new(
                    plan,
                    affinity.as_ref(),
                    stdio,
                    limits.clone(),
                    tree.entry(),
                    Some((files, user)),
                    watched.as_ref(),
                    self.fault,
                );
                AloneServers::spawn(server, &request.map_err(at(Stage::Spawn))?)
            });
            spawned.inspect_err(|error| {
                if is_lost(error) {
                    self.give_up_servers(&servers);
                }
                if error.stage == Stage::Reply {
                    // What the child has started has its mark.
                    tree.signal_marked(Signal::Kill);
                }
            })
        };
        let mut spawned = attempt();
        // Not where the request was received: the program may have run.
        if let Err(error) = &spawned
            && error.stage == Stage::Request
            && is_lost(error)
        {
            tracing::warn!(%error, "the servers of the children are replaced");
            spawned = attempt();
        }
        let (spawned, server) = spawned?;
        let log = watched.map(Watched::into_log);
        let child = Child::new(spawned, None).with_tree(tree.started(Some(server)));
        Ok(child.with_log(log))
    }

    /// Starts to observe a child that is started as `plan` says, if children are observed.
    fn watch(
        &self,
        plan: &Plan,
        policy: &Policy,
        tmp: Option<&Path>,
    ) -> Result<Option<Watched>, LaunchError> {
        let (Some(observer), Some(options)) = (self.observer(), policy.filter_options()) else {
            return Ok(None);
        };
        let observing = Observing::new(observer, plan.confinement.network, options, false);
        let watched = observing.and_then(|observing| observing.watch(View::of(plan, false, tmp)));
        let watched = watched.map_err(|source| LaunchError::new(Stage::Filter, source));
        watched.map(Some)
    }
}

/// Whether the servers were killed, or do not reply.
fn is_lost(error: &LaunchError) -> bool {
    let is_of_request = matches!(error.stage, Stage::Request | Stage::Reply);
    let kinds = [io::ErrorKind::BrokenPipe, io::ErrorKind::TimedOut];
    is_of_request && kinds.contains(&error.source.kind())
}

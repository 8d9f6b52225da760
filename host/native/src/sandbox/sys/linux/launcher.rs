//! The launcher: it chooses the mechanism that confines a child, a session in tier A and a
//! single process in tiers B and C.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use super::fd::cstrings::CStrings;
use super::fd::stdio::{AboveStdio, give_pipes, null};
use super::owners::{self, Lease};
use super::policy::cache::{Policy, PolicyCache};
use super::policy::landlock;
use super::policy::set_group_id::SetGroupId;
use super::probe::findings::{Findings, Probed};
use super::probe::owners::Users;
use super::probe::reports::Reports;
use super::probe::run as probe;
use super::session::{Profile, SessionPool, as_childrens, can_be_owners};
use super::spawner::Spawner;
use super::spawner::process::Child;
use super::spawner::rlimits;
use super::spawner::start::{Membership, Start};
use super::tmp::{self, GuestTmp, TmpDirs};
use crate::confinement::{Confinement, Enforcement, Sandbox, Tier};
use crate::launch::{
    ChildStdio, Identity, LaunchError, Launcher, Owner, Plan, Process, RunAs, Scope, Stage,
};
use crate::shortage::Shortage;

/// Starts children confined in the best [`Tier`] that the host supports.
#[derive(Debug)]
pub struct NativeLauncher {
    /// The tier that the embedder requires.
    tier: Option<Tier>,
    spawner: Arc<Spawner>,
    policies: PolicyCache,
    sessions: SessionPool,
    /// The temporary directories of guests without a session.
    tmp_dirs: TmpDirs,
    /// Set by the first probe whose findings last.
    reports: OnceLock<Reports>,
}

impl NativeLauncher {
    /// Returns a launcher that uses `spawner`; `tier` is the tier that the embedder requires.
    pub(super) fn over(spawner: Spawner, tier: Option<Tier>) -> Self {
        Self {
            tier,
            spawner: Arc::new(spawner),
            policies: PolicyCache::default(),
            sessions: SessionPool::default(),
            tmp_dirs: TmpDirs::default(),
            reports: OnceLock::new(),
        }
    }

    /// Returns the users as which children run. A report on a confinement
    /// ([`Dimension::Owners`](crate::confinement::Dimension::Owners)) tells whether its children
    /// have one of their owner's.
    pub fn run_as(&self) -> RunAs {
        let (files, _) = self.spawner.user();
        match self.spawner.owners() {
            Some(owners) => RunAs::EachOwner {
                uids: owners.uids(),
                files,
            },
            None => RunAs::One(files),
        }
    }

    /// Returns the directory at `path`, for files that a host which is root makes for its children:
    /// what root makes below it belongs to the user and group of the children's files
    /// ([`run_as`](Self::run_as)), and what belongs to them is root's there. None if the host's own
    /// files are its children's already.
    ///
    /// The directory is on an idmapped mount of its own, which ends with the last descriptor into it.
    /// Rejected: `chown` after each creation, which comes too late for a child that already runs, and
    /// the file system's user id of a thread, which would take the host's rights from what it does
    /// for other children.
    ///
    /// # Errors
    ///
    /// Linux is older than 5.12, the host lacks CAP_SYS_ADMIN in the initial user namespace, or the
    /// file system has no idmapped mounts, such as overlayfs and NFS.
    pub fn shared_directory(&self, path: &Path) -> io::Result<Option<OwnedFd>> {
        let (files, _) = self.spawner.user();
        match Identity::host().is_root() && !files.is_root() {
            true => as_childrens(&self.spawner, path, files).map(Some),
            false => Ok(None),
        }
    }

    /// Returns what a probe of this host found. The host is probed once, and again after
    /// each probe that failed because the host was short of a resource.
    ///
    /// # Errors
    ///
    /// What the host was short of.
    pub(crate) fn findings(&self) -> Result<Findings, Shortage> {
        self.probe().map(Reports::findings)
    }

    /// Returns the cache of reports about this host, or what the host was too short of to be probed.
    fn probe(&self) -> Result<&Reports, Shortage> {
        if let Some(reports) = self.reports.get() {
            return Ok(reports);
        }
        // Two first launches at once both probe.
        match probe::run(&self.spawner, self.tier) {
            Probed::Lasting(findings) => Ok(self.reports.get_or_init(|| Reports::new(findings))),
            Probed::Transient(shortage) => Err(shortage),
        }
    }

    /// Returns the users as which the children of `confinement` run; an error if that is for
    /// lack of a resource.
    fn users(&self, findings: Findings, confinement: &Confinement) -> Result<Users, Users> {
        let Some(owners) = self.spawner.owners() else {
            return Ok(Users::One);
        };
        let in_session = findings.tier == Tier::A && confinement.sandbox != Sandbox::None;
        let (common, _) = self.spawner.user();
        let can_be_owners = if in_session {
            let found = can_be_owners(&self.spawner, owners, &confinement.fs);
            found.map_err(|_| Users::OneForRoots)?
        } else {
            !owners::roots::has_childrens(&confinement.fs, common.uid)
        };
        match can_be_owners {
            true => Ok(Users::Each),
            false => Ok(Users::OneForRoots),
        }
    }

    /// Starts what `plan` says in the tier that its confinement takes.
    fn try_launch(
        &self,
        scope: Scope,
        plan: &Plan,
        stdio: &ChildStdio,
    ) -> Result<Box<dyn Process>, LaunchError> {
        let tier = match plan.confinement.sandbox {
            // Nothing is confined, so no tier is needed.
            Sandbox::None => {
                self.spawner.check_right_to_signal()?;
                Tier::C
            }
            Sandbox::Required | Sandbox::BestEffort => {
                let findings = self.findings();
                let findings =
                    findings.map_err(|shortage| LaunchError::new(Stage::Spawn, shortage.into()))?;
                findings.tier
            }
        };
        if tier == Tier::A {
            let child = self.sessions.launch(&self.spawner, scope, plan, stdio)?;
            return Ok(Box::new(child));
        }
        if plan.confinement.sandbox != Sandbox::None && self.spawner.keeps_root() {
            let text = "outside a session a child with the user id 0 could change files everywhere: \
                run children as another user";
            let source = io::Error::new(io::ErrorKind::PermissionDenied, text);
            return Err(LaunchError::new(Stage::Identity, source));
        }
        Ok(Box::new(self.launch_alone(tier, scope, plan, stdio)?))
    }

    /// Whether a launch failed for something that sessions without a child may hold. What a guest is short of by its own
    /// limits, such as tasks and sessions, is not theirs.
    fn may_be_relieved(error: &LaunchError) -> bool {
        match error.shortage() {
            Some(
                Shortage::Descriptors
                | Shortage::MachineDescriptors
                | Shortage::UserIds
                | Shortage::Namespaces
                | Shortage::Watches,
            ) => true,
            // A child may be short of these by its own limits.
            Some(Shortage::Memory | Shortage::Processes) => {
                matches!(error.stage, Stage::Namespaces | Stage::Root)
            }
            _ => false,
        }
    }

    /// Starts what `plan` says without a session, in tier B or C.
    fn launch_alone(
        &self,
        tier: Tier,
        scope: Scope,
        plan: &Plan,
        stdio: &ChildStdio,
    ) -> Result<Child, LaunchError> {
        let launch = || match tier == Tier::B && landlock::has_signal_scope() {
            true => self.try_by_server(scope, plan, stdio),
            false => self.try_alone(tier, scope, plan, stdio),
        };
        let launched = launch();
        // The cached policies keep descriptors: without them there may be enough.
        let is_short = |error: &LaunchError| {
            use Shortage::{Descriptors, MachineDescriptors};
            matches!(error.shortage(), Some(Descriptors | MachineDescriptors))
        };
        if launched.as_ref().is_err_and(is_short) && self.policies.clear() {
            return launch();
        }
        launched
    }

    /// Starts what `plan` says by a clone of the host itself: in tier C, and in tier B before Linux 6.12.
    fn try_alone(
        &self,
        tier: Tier,
        scope: Scope,
        plan: &Plan,
        stdio: &ChildStdio,
    ) -> Result<Child, LaunchError> {
        let at = |stage| move |source| LaunchError::new(stage, source);
        let GuestPart { tmp, policy, lease } = self.guest_part(tier, scope, plan)?;
        let mut env = CStrings::new();
        for (name, value) in &plan.env {
            env.push(&[name.as_bytes(), b"=", value.as_bytes()])
                .map_err(at(Stage::Spawn))?;
        }
        // A path that is no text was not chosen.
        if let Some(path) = tmp.as_ref().and_then(|tmp| tmp.path().to_str()) {
            env.push(&[tmp::VARIABLE.as_bytes(), b"=", path.as_bytes()])
                .map_err(at(Stage::Spawn))?;
        }
        let null = null_device(stdio).map_err(at(Stage::Stdio))?;
        let stream = |given: Option<_>| stream(given.or(null.as_ref())).map_err(at(Stage::Stdio));
        let stdin = stream(stdio.stdin.as_ref())?;
        let stdout = stream(stdio.stdout.as_ref())?;
        let stderr = stream(stdio.stderr.as_ref())?;
        let program = AboveStdio::new(plan.program.file.as_fd()).map_err(at(Stage::OpenProgram))?;
        let cwd = AboveStdio::new(plan.cwd.dir.as_fd()).map_err(at(Stage::WorkingDirectory))?;
        let user = lease.as_ref().map(|lease| Identity {
            uid: lease.uid(),
            ..self.spawner.user().0
        });
        let runs_as = user.unwrap_or(self.spawner.user().0);
        give_pipes(stdio, runs_as);
        let tree = self.spawner.assign_tree(&plan.limits, runs_as)?;
        let mut limits = rlimits::alone(&plan.limits, tree.memory_limit());
        // There is room for it.
        let _ = tree
            .mark()
            .map(rlimits::mark)
            .and_then(|mark| limits.push(mark));
        let mut start = Start {
            program: program.as_fd(),
            argv: plan.argv.iter().map(OsString::as_os_str).collect(),
            env,
            cwd: cwd.as_fd(),
            stdio: [&stdin, &stdout, &stderr].map(|stream| stream.as_fd().as_raw_fd()),
            limits: &limits,
            // A cgroup's limit is exact, and about this tree alone.
            user_tasks: match tree.limits_tasks() {
                true => None,
                false => self.spawner.user_tasks(&plan.limits, runs_as),
            },
            cgroup: tree.entry().map(Membership::of).unwrap_or_default(),
            user,
        };
        let watchdog = self.spawner.watchdog()?;
        let mut child = self
            .spawner
            .start(&policy, &mut start, Some(Arc::clone(&watchdog)));
        let watchdog_is_gone = |error: &LaunchError| {
            use io::ErrorKind::{BrokenPipe, WouldBlock};
            let is_gone = matches!(error.source.kind(), BrokenPipe | WouldBlock);
            error.stage == Stage::Announce && is_gone
        };
        if child.as_ref().is_err_and(watchdog_is_gone) {
            tracing::warn!(
                "the watchdog process was killed and is restarted: children that run now survive if the host is killed"
            );
            self.spawner.give_up(&watchdog);
            child = self
                .spawner
                .start(&policy, &mut start, Some(self.spawner.watchdog()?));
        }
        let mut child = child?.with_tree(tree.started(None));
        child.keep(lease);
        child.keep_tmp(tmp);
        Ok(child)
    }

    /// Starts what `plan` says in tier B by a server, whose domain names the tree.
    fn try_by_server(
        &self,
        scope: Scope,
        plan: &Plan,
        stdio: &ChildStdio,
    ) -> Result<Child, LaunchError> {
        let GuestPart { tmp, policy, lease } = self.guest_part(Tier::B, scope, plan)?;
        if let Some(lease) = &lease {
            // A process that has left the leader's group may live for a moment longer than the child.
            lease.may_leave_processes();
        }
        let (common, _) = self.spawner.user();
        let uid = lease.as_ref().map(|lease| lease.uid());
        let user = Identity {
            uid: uid.unwrap_or(common.uid),
            ..common
        };
        give_pipes(stdio, user);
        let tree = self.spawner.assign_tree(&plan.limits, user)?;
        let tmp_path = tmp.as_ref().map(|tmp| tmp.path());
        let started = self
            .spawner
            .start_by_server(plan, stdio, &policy, tmp_path, uid, tree);
        let mut child = started?;
        child.keep(lease);
        child.keep_tmp(tmp);
        Ok(child)
    }

    /// Returns what the child has of its guest, and checks that its script is still the one that was decided on.
    fn guest_part(&self, tier: Tier, scope: Scope, plan: &Plan) -> Result<GuestPart, LaunchError> {
        plan.check_script()?;
        let (user, becomes) = self.spawner.user();
        let set_group_id = SetGroupId::of(user, becomes);
        let (confinement, program) = (&plan.confinement, &plan.program);
        let tmp = self.tmp(tier, scope, plan);
        let tmp_path = tmp.as_ref().map(|tmp| tmp.path());
        let policy = self
            .policies
            .get(confinement, program, tier, tmp_path, set_group_id);
        let policy = policy.map_err(|source| LaunchError::new(Stage::Ruleset, source))?;
        let lease = self.lease(scope, plan, &policy)?;
        Ok(GuestPart { tmp, policy, lease })
    }

    /// Returns the temporary directory of the guest, for a child in tier B. None where the grant
    /// or the request names another one, or where none can be made: the child starts without.
    fn tmp(&self, tier: Tier, scope: Scope, plan: &Plan) -> Option<Arc<GuestTmp>> {
        let is_named = || plan.env.iter().any(|(name, _)| name == tmp::VARIABLE);
        if tier != Tier::B || plan.confinement.sandbox == Sandbox::None || is_named() {
            return None;
        }
        let (user, becomes) = self.spawner.user();
        let made = self.tmp_dirs.get(scope, becomes.then_some(user.gid));
        let made = made.inspect_err(|error| {
            tracing::warn!(%error, "no temporary directory can be made: children have none");
        });
        made.ok()
    }

    /// Returns the user id of the guest's owner, for a child without a session. None where the
    /// child runs as the user that all owners share: it has roots that belong to that user,
    /// and without a session nothing can show them as another's.
    fn lease(
        &self,
        scope: Scope,
        plan: &Plan,
        policy: &Policy,
    ) -> Result<Option<Arc<Lease>>, LaunchError> {
        let Some(owners) = self.spawner.owners() else {
            return Ok(None);
        };
        let (common, _) = self.spawner.user();
        let find = || owners::roots::has_childrens(&plan.confinement.fs, common.uid);
        if policy.has_childrens_roots(find) {
            return Ok(None);
        }
        let lease = owners.lease(scope)?;
        if plan.confinement.sandbox == Sandbox::None {
            lease.may_leave_processes();
        }
        Ok(Some(lease))
    }
}

/// What a child outside a session has of its guest.
struct GuestPart {
    tmp: Option<Arc<GuestTmp>>,
    policy: Arc<Policy>,
    /// The user id of the guest's owner, where the child runs as that.
    lease: Option<Arc<Lease>>,
}

/// Opens the null device once for a child that gets fewer than three streams, and for no other child: a lock (`flock(2)`)
/// on it must not outlast its child.
fn null_device(stdio: &ChildStdio) -> io::Result<Option<OwnedFd>> {
    let streams = [&stdio.stdin, &stdio.stdout, &stdio.stderr];
    let is_missing = streams.into_iter().any(Option::is_none);
    is_missing.then(null).transpose()
}

/// A stream of a child above the standard streams.
fn stream(stream: Option<&OwnedFd>) -> io::Result<AboveStdio<'_>> {
    let stream = stream.ok_or(io::ErrorKind::NotFound)?;
    AboveStdio::new(stream.as_fd())
}

impl Launcher for NativeLauncher {
    fn enforcement(&self, confinement: &Confinement) -> Arc<Enforcement> {
        match self.probe() {
            Ok(reports) => reports.get(confinement, || self.users(reports.findings(), confinement)),
            Err(shortage) => Arc::new(Enforcement::short(confinement, shortage)),
        }
    }

    fn launch(
        &self,
        scope: Scope,
        plan: &Plan,
        stdio: ChildStdio,
    ) -> Result<Box<dyn Process>, LaunchError> {
        match self.try_launch(scope, plan, &stdio) {
            Err(error) if Self::may_be_relieved(&error) => {
                let profile = Profile::of(plan);
                match self.sessions.give_up_unused(Some((scope, &profile))) {
                    true => self.try_launch(scope, plan, &stdio),
                    false => Err(error),
                }
            }
            launched => launched,
        }
    }

    fn make_room(&self) -> bool {
        let has_sessions = self.sessions.give_up_unused(None);
        self.policies.clear() || has_sessions
    }

    fn reap_adopted(&self) -> bool {
        self.spawner.reap_adopted();
        self.spawner.adopts()
    }

    fn open(&self, scope: Scope, owner: Owner<'_>) {
        if let Some(owners) = self.spawner.owners() {
            owners.open(scope, owner);
        }
    }

    fn close(&self, scope: Scope) {
        self.sessions.close(scope);
        if let Some(tmp) = self.tmp_dirs.close(scope) {
            self.policies.forget(tmp.path());
        }
        if let Some(owners) = self.spawner.owners() {
            owners.close(scope);
        }
    }
}

#[cfg(test)]
mod tests;

//! The settings of a launcher.

use capspawn_raw::step::Fault;

use super::launcher::NativeLauncher;
use super::owners::is_mapped;
use super::spawner::{Spawner, default_user};
use crate::confinement::Tier;
use crate::launch::{Identity, Observer, OwnerUids};

/// Builds a [`NativeLauncher`]; see [`NativeLauncher::builder`].
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct NativeLauncherBuilder {
    tier: Option<Tier>,
    run_as: Option<Identity>,
    without_cgroups: bool,
    owner_uids: Option<OwnerUids>,
    observer: Option<Observer>,
}

impl NativeLauncherBuilder {
    /// Confines children by `tier` and by no other. If the host does not support that tier, the
    /// launcher starts no confined child, not even under `best-effort`.
    pub fn tier(mut self, tier: Tier) -> Self {
        self.tier = Some(tier);
        self
    }

    /// Runs the children of all owners as the user `uid` and the group `gid`, without
    /// supplementary groups. With [`owner_uids`](Self::owner_uids) it is the user and group
    /// to which the files in write roots belong.
    ///
    /// This requires a host that runs as root; on any other, every launch fails. With root's
    /// own ids the enforcement of `privileges` is partial. Load grants for the same identity,
    /// with [`Grants::load_as`](crate::Grants::load_as).
    pub fn run_as(mut self, uid: u32, gid: u32) -> Self {
        self.run_as = Some(Identity { uid, gid });
        self
    }

    /// Gives no child a cgroup of its own, even where the host may make one.
    ///
    /// The registry then samples what a tree uses, and the enforcement of `memory`, `cpu-time`
    /// and, in tiers B and C, `processes` is partial. For a host whose service manager or whose
    /// own code must be the only one to make cgroups.
    pub fn without_cgroups(mut self) -> Self {
        self.without_cgroups = true;
        self
    }

    /// Runs the children of each owner (a component of the grant together with a tenant) as a
    /// user of its own, with an id from `uids`: owners then share none of what the kernel
    /// counts by user, and can neither signal nor trace each other's children, confined or
    /// not. The group stays that of [`run_as`](Self::run_as). While every id is another
    /// owner's, a launch fails as a shortage of the host
    /// ([`Shortage::UserIds`](crate::Shortage::UserIds)).
    ///
    /// Files in write roots still belong to the user of [`run_as`](Self::run_as). A session
    /// shows them as its owner's, on file systems with idmapped mounts. On others, and for
    /// children outside a session (tiers B and C, `sandbox = "none"`), a command with a write
    /// root, or with a read root that belongs to that user, runs as that user;
    /// [`Dimension::Owners`](crate::sandbox::Dimension::Owners) reports it.
    ///
    /// This requires a host that runs as root; on any other, every launch fails. By default a
    /// root host uses [`OwnerUids::DEFAULT`], unless `run_as` is set or a container lacks
    /// these ids.
    pub fn owner_uids(mut self, uids: OwnerUids) -> Self {
        self.owner_uids = Some(uids);
        self
    }

    /// Records what children use, or what is refused to them, for people who write grants. The registry
    /// reports it by an [`EventKind::Observed`](crate::EventKind::Observed) before the child's exit.
    ///
    /// Observed children are confined as others are, and slower: each waits for a thread of the host at every call
    /// with a path. The report is not evidence: a child that wants to can make it wrong. Children in tier C, in tier B
    /// before Linux 6.12, and with `sandbox = "none"` are not observed; with Linux older than 5.19 observed children do
    /// not start.
    pub fn observer(mut self, observer: Observer) -> Self {
        self.observer = Some(observer);
        self
    }

    /// Builds the launcher. It probes the host when it first needs the result.
    pub fn build(self) -> NativeLauncher {
        let run_as = self.run_as.or(default_user());
        let by_default = || {
            let is_default = self.run_as.is_none() && default_user().is_some();
            (is_default && is_mapped(OwnerUids::DEFAULT)).then_some(OwnerUids::DEFAULT)
        };
        let mut spawner = Spawner::new(run_as, false, Fault::NONE);
        if let Some(uids) = self.owner_uids.or_else(by_default) {
            spawner = spawner.with_owners(uids);
        }
        if self.without_cgroups {
            spawner = spawner.without_cgroups();
        }
        if let Some(observer) = self.observer {
            spawner = spawner.with_observer(observer);
        }
        NativeLauncher::over(spawner, self.tier)
    }
}

impl Default for NativeLauncher {
    fn default() -> Self {
        Self::new()
    }
}

impl NativeLauncher {
    /// Returns a launcher with the default settings of [`NativeLauncher::builder`].
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// Returns a builder. By default the launcher uses the best tier that the host supports, and
    /// children run as the host's user. If that is root, those of each owner run as a user of
    /// [`OwnerUids::DEFAULT`], in the group 65534, and their files belong to 65534:65534.
    pub fn builder() -> NativeLauncherBuilder {
        NativeLauncherBuilder::default()
    }
}

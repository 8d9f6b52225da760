//! The settings of a launcher.

use capspawn_raw::step::Fault;

use super::launcher::NativeLauncher;
use super::spawner::{Spawner, default_user};
use crate::confinement::Tier;
use crate::launch::Identity;

/// Builds a [`NativeLauncher`]; see [`NativeLauncher::builder`].
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct NativeLauncherBuilder {
    tier: Option<Tier>,
    run_as: Option<Identity>,
    without_cgroups: bool,
}

impl NativeLauncherBuilder {
    /// Confines children by `tier` and by no other. If the host does not support that tier, the
    /// launcher starts no confined child, not even under `best-effort`.
    pub fn tier(mut self, tier: Tier) -> Self {
        self.tier = Some(tier);
        self
    }

    /// Runs children as the user `uid` and the group `gid`, without supplementary groups.
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

    /// Builds the launcher. It probes the host when it first needs the result.
    pub fn build(self) -> NativeLauncher {
        let run_as = self.run_as.or(default_user());
        let mut spawner = Spawner::new(run_as, false, Fault::NONE);
        if self.without_cgroups {
            spawner = spawner.without_cgroups();
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
    /// children run as the host's user, or as 65534:65534 if that is root.
    pub fn builder() -> NativeLauncherBuilder {
        NativeLauncherBuilder::default()
    }
}

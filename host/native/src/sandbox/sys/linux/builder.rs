//! What an embedder may say about a launcher.

use super::launcher::NativeLauncher;
use super::spawner::{NO_FAULT, Spawner, default_user};
use crate::confinement::Tier;
use crate::launch::Identity;

/// Builds a [`NativeLauncher`]; see [`NativeLauncher::builder`].
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct NativeLauncherBuilder {
    tier: Option<Tier>,
    run_as: Option<Identity>,
}

impl NativeLauncherBuilder {
    /// Confines by `tier` and by no other. Where the host does not have it,
    /// nothing confined is started, by `best-effort` neither.
    pub fn tier(mut self, tier: Tier) -> Self {
        self.tier = Some(tier);
        self
    }

    /// Runs children as the user `uid` and the group `gid`, without further
    /// groups. It takes a root host: elsewhere every launch fails. Root's own
    /// ids are possible, and `privileges` is then partial. Grants are then loaded for
    /// the same identity: [`Grants::load_as`](crate::Grants::load_as).
    pub fn run_as(mut self, uid: u32, gid: u32) -> Self {
        self.run_as = Some(Identity { uid, gid });
        self
    }

    /// Builds the launcher. Nothing is probed before it is needed.
    pub fn build(self) -> NativeLauncher {
        let run_as = self.run_as.or(default_user());
        NativeLauncher::over(Spawner::new(run_as, false, NO_FAULT), self.tier)
    }
}

impl Default for NativeLauncher {
    fn default() -> Self {
        Self::new()
    }
}

impl NativeLauncher {
    /// Returns the launcher of [`NativeLauncher::builder`] as it is.
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// Returns a builder: the best tier that the host has, and children that run
    /// as the host's user, or as 65534:65534 where that is root.
    pub fn builder() -> NativeLauncherBuilder {
        NativeLauncherBuilder::default()
    }
}

//! What an embedder may say about a launcher.

use super::{NO_FAULT, NOBODY, NativeLauncher};
use crate::sandbox::Tier;

/// Builds a [`NativeLauncher`]; see [`NativeLauncher::builder`].
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct NativeLauncherBuilder {
    tier: Option<Tier>,
    run_as: Option<(u32, u32)>,
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
        self.run_as = Some((uid, gid));
        self
    }

    /// Builds the launcher. Nothing is probed before it is needed.
    pub fn build(self) -> NativeLauncher {
        let root = rustix::process::geteuid().is_root();
        let run_as = self.run_as.or(root.then_some(NOBODY));
        NativeLauncher::with(self.tier, run_as, false, NO_FAULT)
    }
}

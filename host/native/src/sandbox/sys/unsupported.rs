//! The launcher where there is none.

use std::io;

use crate::confinement::{Confinement, Enforcement, Tier};
use crate::launch::{ChildStdio, LaunchError, Launcher, Plan, Process, Scope, Stage};

/// Starts nothing: this system has no launcher.
#[derive(Debug, Default)]
pub struct NativeLauncher {}

/// Builds a [`NativeLauncher`].
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct NativeLauncherBuilder {}

impl NativeLauncher {
    /// Returns the launcher that refuses everything.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns a builder of the launcher that refuses everything.
    pub fn builder() -> NativeLauncherBuilder {
        NativeLauncherBuilder::default()
    }
}

impl NativeLauncherBuilder {
    /// Asks for a tier; there is none here.
    pub fn tier(self, _tier: Tier) -> Self {
        self
    }

    /// Asks for a user; nothing is started here.
    pub fn run_as(self, _uid: u32, _gid: u32) -> Self {
        self
    }

    /// Builds the launcher that refuses everything.
    pub fn build(self) -> NativeLauncher {
        NativeLauncher::default()
    }
}

impl Launcher for NativeLauncher {
    fn enforcement(&self, confinement: &Confinement) -> Enforcement {
        Enforcement::none(confinement, "this system has no sandbox", "run on Linux")
    }

    fn launch(
        &self,
        _scope: Scope,
        _plan: &Plan,
        _stdio: ChildStdio,
    ) -> Result<Box<dyn Process>, LaunchError> {
        Err(LaunchError::new(
            Stage::Spawn,
            io::ErrorKind::Unsupported.into(),
        ))
    }
}

//! The launcher where there is none.

use std::io;

use crate::error::{LaunchError, Stage};
use crate::launch::{ChildStdio, Launcher, Plan, Process, Scope};
use crate::sandbox::{Confinement, Enforcement};

/// Starts nothing: this system has no launcher yet.
#[derive(Debug, Default)]
pub struct NativeLauncher {}

impl NativeLauncher {
    /// Returns the launcher that refuses everything.
    pub fn new() -> Self {
        Self::default()
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

//! The trait of what starts a child.

use std::fmt;
use std::sync::Arc;

use super::error::LaunchError;
use super::plan::{ChildStdio, Plan};
use super::process::Process;
use crate::confinement::{Confinement, Enforcement};

/// Whose children may share what a launcher keeps between launches: one guest's.
///
/// Numbers are not used again while the registry lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Scope(pub u64);

/// What starts a child.
pub trait Launcher: Send + Sync + fmt::Debug {
    /// Returns what this launcher would enforce for `confinement` on this host.
    ///
    /// The registry calls this for every spawn; a launcher whose report costs more than
    /// a lookup caches it.
    fn enforcement(&self, confinement: &Confinement) -> Arc<Enforcement>;

    /// Starts what `plan` says, for the guest `scope`. Returns once the program
    /// executes.
    ///
    /// # Errors
    ///
    /// The stage that failed and the system's error; nothing is left running.
    fn launch(
        &self,
        scope: Scope,
        plan: &Plan,
        stdio: ChildStdio,
    ) -> Result<Box<dyn Process>, LaunchError>;

    /// Gives up what is kept for `scope`, whose guest is gone: what its running
    /// children need stays until they have ended. Does not block.
    fn close(&self, _scope: Scope) {}
}

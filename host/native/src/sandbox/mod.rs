//! The launcher that confines children by the mechanisms of the operating system.

pub(crate) mod sys;

pub use crate::confinement::{
    Confinement, Dimension, Enforced, Enforcement, FsRoot, FsRules, Network, Sandbox, Tier,
};
pub use crate::launch::{Access, Observation, Observer, Outcome, Subject};
pub use sys::{NativeLauncher, NativeLauncherBuilder};

//! What a child is confined to, and what of that this host really enforces.
//!
//! A grant demands ([`Confinement`]), a launcher reports ([`Enforcement`]), and
//! the registry refuses a demand that the report does not meet. Nothing falls
//! through to a weaker confinement in silence.

mod confinement;
mod enforcement;
mod root;
pub(crate) mod sys;
mod tier;

pub use confinement::{Confinement, FsRules, Network, Sandbox};
pub use enforcement::{Dimension, Enforced, Enforcement};
pub use root::FsRoot;
pub(crate) use root::open_resolved;
pub use sys::{NativeLauncher, NativeLauncherBuilder};
pub use tier::Tier;

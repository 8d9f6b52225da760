//! What a child is confined to, and how much of that a host enforces: plain data.
//!
//! A grant demands a [`Confinement`], a launcher reports an [`Enforcement`], and the
//! registry refuses a demand that the report does not meet. Nothing falls back to a
//! weaker confinement silently.

mod demand;
mod enforcement;
mod root;
mod tier;
mod walk;

pub use demand::{Confinement, FsRules, Network, Sandbox};
pub use enforcement::{Dimension, Enforced, Enforcement};
pub use root::FsRoot;
pub(crate) use root::open_resolved;
pub use tier::Tier;
pub(crate) use walk::walk;

//! The confinement that a grant asks for.

use super::FsRoot;

/// What happens where the host cannot enforce the confinement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Sandbox {
    /// Nothing is started.
    #[default]
    Required,
    /// The child is confined as far as the host can, and the report says how far.
    BestEffort,
    /// No confinement at all; a grant must write this out.
    None,
}

/// What network a child sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Network {
    /// None: no socket of any family reaches anything.
    #[default]
    None,
    /// A loopback interface of its own.
    Loopback,
    /// The host's.
    Host,
}

/// The parts of the host's file system that a child sees.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct FsRules {
    /// Readable and executable, with everything below.
    pub read: Vec<FsRoot>,
    /// Writable too, with everything below.
    pub write: Vec<FsRoot>,
    /// Holes in the above: neither readable nor writable.
    pub deny: Vec<FsRoot>,
}

/// What one command's children are confined to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Confinement {
    /// How strictly.
    pub sandbox: Sandbox,
    /// Which network.
    pub network: Network,
    /// Which files.
    pub fs: FsRules,
}

//! What makes one session differ from another.

use std::sync::Arc;

use crate::confinement::Confinement;

/// What all children of a session have in common. Commands with unequal profiles
/// get different sessions: a union of grants would be nobody's grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Profile {
    /// The file system, the network, and how strictly.
    pub(crate) confinement: Arc<Confinement>,
    /// The size of `/tmp`, and of `/dev/shm`, in bytes.
    pub(crate) tmpfs_bytes: u64,
    /// Tasks at once of all children together, threads included; none is no limit
    /// but the host's.
    pub(crate) processes: Option<u64>,
}

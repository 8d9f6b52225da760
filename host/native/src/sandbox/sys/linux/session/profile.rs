//! What distinguishes one session from another.

use std::sync::Arc;

use crate::confinement::Confinement;
use crate::launch::Plan;

/// What all children of a session have in common. Commands with unequal profiles get
/// different sessions: one session for both would grant each what only the other has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Profile {
    /// The file system, the network, and how strictly they are confined.
    pub(crate) confinement: Arc<Confinement>,
    /// The size of `/tmp`, and of `/dev/shm`, in bytes.
    pub(crate) tmpfs_bytes: u64,
    /// The limit on tasks of all children together, threads included; none leaves the
    /// host's own limit.
    pub(crate) processes: Option<u64>,
}

impl Profile {
    /// Returns the profile of the session in which `plan` runs.
    pub(crate) fn of(plan: &Plan) -> Self {
        Self {
            confinement: Arc::clone(&plan.confinement),
            tmpfs_bytes: plan.limits.tmpfs_bytes,
            processes: plan.limits.processes,
        }
    }
}

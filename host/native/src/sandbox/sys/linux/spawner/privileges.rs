//! The privileges that the host itself has.

use rustix::thread::{CapabilitySet, capabilities};

/// Whether this thread may lock its securebits (`CAP_SETPCAP`).
pub(crate) fn may_lock_securebits() -> bool {
    capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::SETPCAP))
}

//! The privileges and the duties that the host itself has.

use std::io;

use rustix::process::{child_subreaper, getpid};
use rustix::thread::{CapabilitySet, capabilities};

/// The host has no right to signal the processes of its children's user: it could neither
/// end them nor enforce a limit. A root host without `CAP_KILL` is such a host.
#[derive(Debug, thiserror::Error)]
#[error("{}", Self::HINT)]
pub(crate) struct CannotSignal;

impl CannotSignal {
    pub(crate) const HINT: &str =
        "the host may not signal its children: give it CAP_KILL, or run it as an ordinary user";

    /// Whether `error` wraps this one.
    pub(crate) fn is(error: &io::Error) -> bool {
        error.get_ref().is_some_and(|inner| inner.is::<Self>())
    }
}

/// Whether this thread may signal processes of other users (`CAP_KILL`).
pub(super) fn may_signal_others() -> bool {
    capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::KILL))
}

/// Whether this thread may lock its securebits (`CAP_SETPCAP`).
pub(crate) fn may_lock_securebits() -> bool {
    capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::SETPCAP))
}

/// Whether orphans become children of this process: it is pid 1, or a subreaper.
pub(super) fn adopts() -> bool {
    getpid().is_init() || child_subreaper().is_ok_and(|is_set| is_set.is_some())
}

//! What happened in a run.

use std::ops::AddAssign;

/// Counts, so that a run without any faults or children does not pass.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) started: u64,
    /// Whose status was seen.
    pub(crate) ended: u64,
    pub(crate) denied: u64,
    pub(crate) over_quota: u64,
    /// Refused because there was no descriptor.
    pub(crate) exhausted: u64,
    /// Watchers, and the two processes of sessions.
    pub(crate) helpers_killed: u64,
    /// Killed while they were being started.
    pub(crate) starts_killed: u64,
    /// Launches that failed by the faults.
    pub(crate) failed: u64,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.started += other.started;
        self.ended += other.ended;
        self.denied += other.denied;
        self.over_quota += other.over_quota;
        self.exhausted += other.exhausted;
        self.helpers_killed += other.helpers_killed;
        self.starts_killed += other.starts_killed;
        self.failed += other.failed;
    }
}

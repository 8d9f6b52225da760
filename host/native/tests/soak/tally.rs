//! Counts of what happened in a run.

use std::ops::AddAssign;

/// A run without faults or without children does not pass.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) started: u64,
    /// Children whose status was seen.
    pub(crate) ended: u64,
    pub(crate) denied: u64,
    pub(crate) over_quota: u64,
    /// Spawns that were refused because no descriptor was left.
    pub(crate) exhausted: u64,
    /// Watchdogs, and processes of sessions.
    pub(crate) helpers_killed: u64,
    /// Children that were killed while they started.
    pub(crate) starts_killed: u64,
    /// Launches that failed because of a fault.
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

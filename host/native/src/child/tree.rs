//! The limits of a whole process tree, which rlimits cannot enforce.

use std::time::Duration;

use super::usage::{CpuClock, Sample};
use crate::limits::Limits;
use crate::status::KillReason;

/// The limits of one tree, and the processor time that it has used.
#[derive(Debug)]
pub(crate) struct TreeLimits {
    cpu: Option<Duration>,
    memory_bytes: Option<u64>,
    processes: Option<u64>,
    clock: CpuClock,
}

impl TreeLimits {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            cpu: limits.cpu,
            memory_bytes: limits.memory_bytes,
            processes: limits.processes,
            clock: CpuClock::default(),
        }
    }

    /// Returns the limit that the tree of process group `group` exceeds in `sample`.
    pub(crate) fn exceeded(&mut self, group: u32, sample: &Sample) -> Option<KillReason> {
        let cpu = self.clock.advance(group, sample);
        if self.cpu.is_some_and(|limit| cpu > limit) {
            return Some(KillReason::CpuTime);
        }
        if self
            .memory_bytes
            .is_some_and(|limit| sample.memory_bytes(group, limit) > limit)
        {
            return Some(KillReason::Memory);
        }
        if self
            .processes
            .is_some_and(|limit| sample.tasks(group) > limit)
        {
            return Some(KillReason::Processes);
        }
        None
    }
}

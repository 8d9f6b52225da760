//! What a child's cgroup limits, how the child gets into it, and where it is counted.

use std::os::fd::OwnedFd;

use crate::limits::Limits;

/// What cgroups can limit and count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Controllers {
    pub(crate) memory: bool,
    pub(crate) tasks: bool,
    pub(crate) cpu: bool,
}

/// The limits of a cgroup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LeafLimits {
    pub(super) memory_bytes: Option<u64>,
    pub(super) tasks: Option<u64>,
    /// The limit on memory is too low for a cgroup.
    pub(super) memory_is_sampled: bool,
}

impl LeafLimits {
    pub(super) fn of(limits: &Limits) -> Self {
        Self {
            memory_bytes: limits
                .memory_bytes
                .filter(|bytes| *bytes >= LEAST_MEMORY_BYTES),
            tasks: limits.processes,
            memory_is_sampled: limits
                .memory_bytes
                .is_some_and(|bytes| bytes < LEAST_MEMORY_BYTES),
        }
    }
}

/// The least memory that a cgroup is limited to: 4 MiB. A child enters before it executes,
/// while it shares the memory of the host or of its session's server; the kernel must not end
/// it for lack of memory then, and an exec with the longest arguments takes 2 MiB. The registry
/// samples what has a lower limit.
pub(super) const LEAST_MEMORY_BYTES: u64 = 4 * 1024 * 1024;

/// How a child enters its cgroup.
#[derive(Debug)]
pub(crate) enum Entry {
    /// The child writes `0` to each of these files: version 1, and where the system has no `clone3`.
    Write(Vec<OwnedFd>),
    /// The child is cloned into this directory: version 2.
    Clone(OwnedFd),
}

/// Open files of a cgroup. Opening them for each child would cost 4 % of a spawn.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) entry: Entry,
    pub(super) counters: CounterFiles,
}

/// The files with what is counted; those that the kernel or the host lacks are missing.
#[derive(Debug, Default)]
pub(super) struct CounterFiles {
    /// Open for reading and writing: writing forgets the peak.
    pub(super) memory_peak: Option<OwnedFd>,
    pub(super) tasks_peak: Option<OwnedFd>,
    pub(super) cpu: Option<OwnedFd>,
}

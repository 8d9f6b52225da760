//! What a process tree uses, as its launcher measures it.
//!
//! A launcher that gives a tree a cgroup reads the kernel's counters, which miss nothing. A
//! launcher without one measures nothing, and the registry samples `/proc`. Each figure is
//! chosen on its own, because a host may delegate some controllers of a cgroup and not others.

use std::time::Duration;

/// What a process tree has used since its start. `None` is not measured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TreeUsage {
    /// The most memory that the tree had at one time, in bytes. Similar to `ru_maxrss` of
    /// `getrusage`, which is about one process.
    pub peak_memory_bytes: Option<u64>,
    /// The processor time of the tree, user and system together, with all that has ended.
    pub cpu: Option<Duration>,
    /// The most tasks (processes and threads) that the tree had at one time.
    pub peak_tasks: Option<u64>,
}

impl TreeUsage {
    /// Returns the larger of two measurements of the same tree, figure by figure.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        // None is less than every measurement.
        Self {
            peak_memory_bytes: self.peak_memory_bytes.max(other.peak_memory_bytes),
            cpu: self.cpu.max(other.cpu),
            peak_tasks: self.peak_tasks.max(other.peak_tasks),
        }
    }
}

/// What the kernel counts for one process tree, at one moment.
///
/// A figure is `Some` only where the kernel counts it for exactly this tree: the registry then
/// does not sample it. [`TreeCounters::default`] counts nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TreeCounters {
    /// What the tree has used so far. A kernel without a counter of the peak (`memory.peak`) may
    /// report the memory or the tasks of this moment: the registry keeps the largest.
    pub usage: TreeUsage,
    /// The kernel has ended a process of the tree because the tree was at its memory limit
    /// (`oom_kill` of `memory.events`).
    pub out_of_memory: bool,
    /// The kernel refuses tasks over the limit (`pids.max`), so that no tree needs to be ended for
    /// them.
    pub tasks_enforced: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_measured_figure_replaces_one_that_is_not_measured() {
        let one = TreeUsage {
            peak_memory_bytes: Some(5),
            ..TreeUsage::default()
        };
        let other = TreeUsage {
            peak_memory_bytes: Some(3),
            cpu: Some(Duration::ZERO),
            peak_tasks: None,
        };
        let both = TreeUsage {
            peak_memory_bytes: Some(5),
            cpu: Some(Duration::ZERO),
            peak_tasks: None,
        };
        assert_eq!(one.max(other), both);
        assert_eq!(other.max(one), both);
    }
}

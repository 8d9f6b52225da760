//! The limits of a whole process tree, which rlimits cannot enforce, and what it uses.
//!
//! A figure that the kernel counts for the tree comes from its launcher. The others are sampled.

use std::time::Duration;

use super::usage::{CpuClock, Sample};
use crate::launch::{TreeCounters, TreeUsage};
use crate::limits::Limits;
use crate::status::KillReason;

/// The limits of one tree, and what it has used.
#[derive(Debug)]
pub(crate) struct TreeLimits {
    cpu: Option<Duration>,
    memory_bytes: Option<u64>,
    processes: Option<u64>,
    clock: CpuClock,
    usage: TreeUsage,
}

impl TreeLimits {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            cpu: limits.cpu,
            memory_bytes: limits.memory_bytes,
            processes: limits.processes,
            clock: CpuClock::default(),
            usage: TreeUsage::default(),
        }
    }

    /// What the tree has used, as far as it was measured.
    pub(crate) fn usage(&self) -> TreeUsage {
        self.usage
    }

    /// Adds what the kernel counts, and returns the limit that the kernel itself has enforced by
    /// ending something in the tree.
    pub(crate) fn count(&mut self, counters: &TreeCounters) -> Option<KillReason> {
        self.usage = self.usage.max(counters.usage);
        (counters.out_of_memory && self.memory_bytes.is_some()).then_some(KillReason::Memory)
    }

    /// Returns the limit that the tree of process group `group` exceeds: by the kernel's
    /// `counters` where it counts, else by `sample`.
    pub(crate) fn exceeded(
        &mut self,
        group: u32,
        sample: &Sample,
        counters: &TreeCounters,
    ) -> Option<KillReason> {
        let ended = self.count(counters);
        let counted = &counters.usage;
        let now = TreeUsage {
            cpu: counted
                .cpu
                .or_else(|| Some(self.clock.advance(group, sample))),
            peak_memory_bytes: counted.peak_memory_bytes.or_else(|| {
                Some(sample.memory_bytes(group, self.memory_bytes.unwrap_or(u64::MAX)))
            }),
            peak_tasks: counted.peak_tasks.or_else(|| Some(sample.tasks(group))),
        };
        self.usage = self.usage.max(now);
        // The kernel ends or refuses what exceeds a memory limit, and may count a little over it.
        let memory = now
            .peak_memory_bytes
            .filter(|_| counted.peak_memory_bytes.is_none());
        let tasks = now.peak_tasks.filter(|_| !counters.tasks_enforced);
        let reasons = [
            (over(now.cpu, self.cpu), KillReason::CpuTime),
            (over(memory, self.memory_bytes), KillReason::Memory),
            (over(tasks, self.processes), KillReason::Processes),
        ];
        let over_limit = reasons.into_iter().find(|(is_over, _)| *is_over);
        ended.or(over_limit.map(|(_, reason)| reason))
    }
}

fn over<T: PartialOrd>(used: Option<T>, limit: Option<T>) -> bool {
    matches!((used, limit), (Some(used), Some(limit)) if used > limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tree with this memory limit, without processes in the samples.
    fn exceeded(memory_bytes: u64, counters: &TreeCounters) -> (Option<KillReason>, TreeUsage) {
        let mut tree = TreeLimits::new(&Limits {
            memory_bytes: Some(memory_bytes),
            cpu: Some(Duration::from_secs(2)),
            processes: Some(4),
            ..Limits::default()
        });
        let reason = tree.exceeded(1, &Sample::default(), counters);
        (reason, tree.usage())
    }

    #[test]
    fn what_the_kernel_counts_replaces_the_sample() {
        let usage = TreeUsage {
            peak_memory_bytes: Some(100),
            cpu: Some(Duration::from_secs(1)),
            peak_tasks: Some(3),
        };
        let counters = TreeCounters {
            usage,
            ..TreeCounters::default()
        };
        assert_eq!(exceeded(100, &counters), (None, usage));
        let (reason, usage) = exceeded(100, &TreeCounters::default());
        assert_eq!((reason, usage.peak_memory_bytes), (None, Some(0)));
    }

    #[test]
    fn each_counted_limit_has_its_reason() {
        let of = |usage, out_of_memory, tasks_enforced| {
            let counters = TreeCounters {
                usage,
                out_of_memory,
                tasks_enforced,
            };
            exceeded(100, &counters).0
        };
        let none = TreeUsage::default();
        let cpu = TreeUsage {
            cpu: Some(Duration::from_secs(3)),
            ..none
        };
        let tasks = TreeUsage {
            peak_tasks: Some(5),
            ..none
        };
        // The kernel counts the page over the limit for which it ends the tree.
        let memory = TreeUsage {
            peak_memory_bytes: Some(101),
            ..none
        };
        assert_eq!(of(none, false, false), None);
        assert_eq!(of(cpu, false, false), Some(KillReason::CpuTime));
        assert_eq!(of(tasks, false, false), Some(KillReason::Processes));
        assert_eq!(of(tasks, false, true), None, "the kernel refuses the task");
        assert_eq!(of(memory, false, false), None);
        assert_eq!(of(memory, true, false), Some(KillReason::Memory));
    }
}

//! The limits of a whole process tree, which rlimits cannot enforce, and what it uses.
//!
//! A figure that the kernel counts for the tree comes from its launcher. The others are sampled.

use std::time::{Duration, Instant};

use super::usage::{CpuClock, Measurement, Sample, TreeMemory};
use crate::launch::{TreeCounters, TreeUsage};
use crate::limits::Limits;
use crate::status::KillReason;

/// How long a measurement of the tree's memory may take: 1 s, twice the time for which it reads.
/// After that the kernel still works on one file for it, and the upper bound decides.
const MEASUREMENT_DEADLINE: Duration = Duration::from_secs(1);

/// The share of the time in which a tree is not measured: four times as long as the last
/// measurement took, so that no tree takes more than a fifth of a processor.
const REST: u32 = 4;

/// What one sample says about a tree.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// It is within its limits.
    Within,
    /// It exceeds this limit.
    Over(KillReason),
    /// Its memory may exceed the limit; the measurement finds out, for
    /// [`TreeLimits::measured`].
    Unclear(Measurement),
}

/// The limits of one tree, and what it has used.
#[derive(Debug)]
pub(crate) struct TreeLimits {
    cpu: Option<Duration>,
    memory_bytes: Option<u64>,
    processes: Option<u64>,
    /// The largest file that a process can write, in bytes.
    file_size_bytes: Option<u64>,
    clock: CpuClock,
    usage: TreeUsage,
    measuring: Measuring,
}

/// Whether the tree's memory is being measured.
#[derive(Debug, Clone, Copy)]
enum Measuring {
    /// Not before this time.
    Resting(Option<Instant>),
    /// Since this time.
    Running(Instant),
}

impl TreeLimits {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            cpu: limits.cpu,
            memory_bytes: limits.memory_bytes,
            processes: limits.processes,
            file_size_bytes: limits.file_size_bytes,
            clock: CpuClock::default(),
            usage: TreeUsage::default(),
            measuring: Measuring::Resting(None),
        }
    }

    /// What the tree has used, as far as it was measured.
    pub(crate) fn usage(&self) -> TreeUsage {
        self.usage
    }

    /// Adds the processor time of the ended leader and of what it has reaped.
    pub(crate) fn leader_ended(&mut self, cpu: Duration) {
        let all = cpu.saturating_add(self.clock.lost());
        self.usage.cpu = self.usage.cpu.max(Some(all));
    }

    /// Adds what the kernel counts, and returns the limit that the kernel itself has enforced by
    /// ending something in the tree.
    pub(crate) fn count(&mut self, counters: &TreeCounters) -> Option<KillReason> {
        self.usage = self.usage.max(counters.usage);
        (counters.out_of_memory && self.memory_bytes.is_some()).then_some(KillReason::Memory)
    }

    /// Compares the tree of process group `group` with its limits: by the kernel's `counters`
    /// where it counts, else by `sample`.
    pub(crate) fn check(
        &mut self,
        group: u32,
        sample: &Sample,
        counters: &TreeCounters,
    ) -> Verdict {
        if let Some(reason) = self.count(counters) {
            return Verdict::Over(reason);
        }
        let counted = &counters.usage;
        let cpu = counted
            .cpu
            .unwrap_or_else(|| self.clock.advance(group, sample));
        let tasks = counted.peak_tasks.unwrap_or_else(|| sample.tasks(group));
        self.usage = self.usage.max(TreeUsage {
            cpu: Some(cpu),
            peak_tasks: Some(tasks),
            peak_memory_bytes: None,
        });
        if self.cpu.is_some_and(|limit| cpu > limit) {
            return Verdict::Over(KillReason::CpuTime);
        }
        let too_many = self.processes.is_some_and(|limit| tasks > limit);
        if too_many && !counters.tasks_enforced {
            return Verdict::Over(KillReason::Processes);
        }
        match counted.peak_memory_bytes {
            // The kernel ends what exceeds the limit, and may count a little over it.
            Some(_) => Verdict::Within,
            None => self.check_memory(TreeMemory::read(group, sample), Instant::now()),
        }
    }

    fn check_memory(&mut self, memory: TreeMemory, now: Instant) -> Verdict {
        let resident = memory.resident();
        let Some(limit) = self.memory_bytes else {
            self.used_memory(resident);
            return Verdict::Within;
        };
        if memory.upper_bound(limit) <= limit {
            self.used_memory(resident);
            return Verdict::Within;
        }
        match self.measuring {
            Measuring::Running(since) if now.duration_since(since) > MEASUREMENT_DEADLINE => {
                self.used_memory(resident);
                Verdict::Over(KillReason::Memory)
            }
            Measuring::Running(_) => Verdict::Within,
            Measuring::Resting(Some(until)) if now < until => Verdict::Within,
            Measuring::Resting(_) => {
                self.measuring = Measuring::Running(now);
                let largest_file = self.file_size_bytes.unwrap_or(u64::MAX);
                Verdict::Unclear(memory.measurement(limit, largest_file))
            }
        }
    }

    /// Adds the result of a measurement, and returns whether the tree exceeds its limit.
    pub(crate) fn measured(&mut self, bytes: u64) -> Option<KillReason> {
        let now = Instant::now();
        if let Measuring::Running(since) = self.measuring {
            let rest = now.duration_since(since).saturating_mul(REST);
            self.measuring = Measuring::Resting(now.checked_add(rest));
        }
        self.used_memory(bytes);
        let is_over = self.memory_bytes.is_some_and(|limit| bytes > limit);
        is_over.then_some(KillReason::Memory)
    }

    fn used_memory(&mut self, bytes: u64) {
        self.usage.peak_memory_bytes = self.usage.peak_memory_bytes.max(Some(bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::child::usage::tests::taken;

    fn tree(memory_bytes: u64) -> TreeLimits {
        TreeLimits::new(&Limits {
            memory_bytes: Some(memory_bytes),
            cpu: Some(Duration::from_secs(2)),
            processes: Some(4),
            ..Limits::default()
        })
    }

    /// A tree without processes in the samples.
    fn check(counters: &TreeCounters) -> (Option<KillReason>, TreeUsage) {
        let mut tree = tree(100);
        let reason = match tree.check(1, &Sample::default(), counters) {
            Verdict::Over(reason) => Some(reason),
            _ => None,
        };
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
        assert_eq!(check(&counters), (None, usage));
        let (reason, usage) = check(&TreeCounters::default());
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
            check(&counters).0
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

    #[test]
    fn a_tree_is_measured_once_at_a_time_and_its_bound_decides_when_that_takes_too_long() {
        let own = || {
            let group = rustix::process::getpgrp().as_raw_nonzero().get();
            let group = u32::try_from(group).expect("positive");
            TreeMemory::read(group, &taken(group, None))
        };
        let mut tree = tree(1);
        let start = Instant::now();
        let first = tree.check_memory(own(), start);
        assert!(matches!(first, Verdict::Unclear(_)), "{first:?}");
        let second = tree.check_memory(own(), start + MEASUREMENT_DEADLINE);
        assert!(matches!(second, Verdict::Within), "{second:?}");
        let late = start + MEASUREMENT_DEADLINE + Duration::from_millis(1);
        let third = tree.check_memory(own(), late);
        assert!(
            matches!(third, Verdict::Over(KillReason::Memory)),
            "{third:?}"
        );
        assert_eq!(tree.measured(1), None, "the limit is not exceeded");
        assert_eq!(tree.measured(2), Some(KillReason::Memory));
        assert!(tree.usage().peak_memory_bytes > Some(2));
    }

    #[test]
    fn a_measured_tree_rests_and_is_measured_again() {
        let mut tree = tree(0);
        let bound = || {
            let group = rustix::process::getpgrp().as_raw_nonzero().get();
            let group = u32::try_from(group).expect("positive");
            TreeMemory::read(group, &taken(group, None))
        };
        let start = Instant::now();
        assert!(matches!(
            tree.check_memory(bound(), start),
            Verdict::Unclear(_)
        ));
        let _ = tree.measured(0);
        let Measuring::Resting(Some(until)) = tree.measuring else {
            panic!("it rests");
        };
        let before = until
            .checked_sub(Duration::from_nanos(1))
            .expect("later than the start");
        assert!(matches!(
            tree.check_memory(bound(), before),
            Verdict::Within
        ));
        assert!(matches!(
            tree.check_memory(bound(), until),
            Verdict::Unclear(_)
        ));
    }
}

//! The processor time of a tree.
//!
//! A process that ends leaves its time to the parent that reaps it, and to nobody where the parent
//! ignores SIGCHLD or has ended. So the time of a member that is gone counts as lost, except for
//! what its parent has gained meanwhile. What a process uses after it was last seen is not known
//! where nobody reaps it: a process that lives shorter than the interval of the samples can be
//! missed.
//!
//! Rejected: `taskstats`, which reports the exit of every task, but to a process with
//! `CAP_NET_ADMIN` alone; the exit information of a pidfd, which has no times; and charging a whole
//! interval for each runnable process that is seen once, which charges a busy host's waiting
//! processes too.

use std::collections::HashMap;
use std::time::Duration;

use super::sample::Sample;
use super::stat::Stat;

/// Clock ticks of `/proc`'s times: `USER_HZ`, 100 on every Linux architecture
/// that Rust supports.
const TICKS_PER_SECOND: u64 = 100;

/// The processor time of one tree, added up over all samples.
#[derive(Debug, Default)]
pub(crate) struct CpuClock {
    last: HashMap<u32, Stat>,
    /// Ticks of members that ended and that no member has reaped.
    lost: u64,
}

impl CpuClock {
    /// Returns the processor time used until `sample`.
    pub(crate) fn advance(&mut self, group: u32, sample: &Sample) -> Duration {
        let now: HashMap<u32, Stat> = sample
            .members(group)
            .iter()
            .map(|stat| (stat.pid, stat.clone()))
            .collect();
        self.lost = self.lost.saturating_add(self.lost_until(&now));
        let ticks = now
            .values()
            .map(Stat::ticks)
            .fold(self.lost, u64::saturating_add);
        self.last = now;
        duration(ticks)
    }

    /// Returns the part of the processor time that no member has reaped.
    pub(crate) fn lost(&self) -> Duration {
        duration(self.lost)
    }

    /// Returns the ticks of the members that are missing in `now` and that no member has gained.
    fn lost_until(&self, now: &HashMap<u32, Stat>) -> u64 {
        // By the member that would have reaped them; none where that is no member.
        let mut missing: HashMap<Option<u32>, u64> = HashMap::new();
        for (pid, stat) in &self.last {
            if !now.contains_key(pid) {
                let heir = self.heir(stat, now);
                *missing.entry(heir).or_default() += stat.ticks();
            }
        }
        let gained = |pid: u32| {
            let (before, after) = (self.last.get(&pid)?, now.get(&pid)?);
            Some(after.reaped_ticks.saturating_sub(before.reaped_ticks))
        };
        let lost = missing
            .into_iter()
            .map(|(heir, ticks)| ticks.saturating_sub(heir.and_then(gained).unwrap_or(0)));
        lost.sum()
    }

    /// Returns the nearest ancestor that still runs: a parent that has ended as well has left what
    /// it reaped to its own parent.
    fn heir(&self, ended: &Stat, now: &HashMap<u32, Stat>) -> Option<u32> {
        let mut parent = ended.parent;
        // Numbers are reused, so a chain of parents could lead back to itself.
        for _ in 0..=self.last.len() {
            if now.contains_key(&parent) {
                return Some(parent);
            }
            parent = self.last.get(&parent)?.parent;
        }
        None
    }
}

fn duration(ticks: u64) -> Duration {
    Duration::from_millis(ticks.saturating_mul(1000) / TICKS_PER_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stat(pid: u32, parent: u32, own_ticks: u64, reaped_ticks: u64) -> Stat {
        Stat {
            pid,
            parent,
            group: 10,
            threads: 1,
            start_ticks: 0,
            own_ticks,
            reaped_ticks,
            resident_pages: 1,
            first_thread_ended: false,
        }
    }

    fn at(clock: &mut CpuClock, members: Vec<Stat>) -> u128 {
        clock.advance(10, &Sample::of(10, members)).as_millis()
    }

    #[test]
    fn the_time_of_reaped_children_counts_once_and_that_of_orphans_too() {
        let mut clock = CpuClock::default();
        let first = vec![stat(10, 1, 100, 0), stat(11, 10, 50, 0), stat(12, 1, 30, 0)];
        assert_eq!(at(&mut clock, first), 1800);
        // 10 has reaped 11, whose ticks are now its own; 12 was an orphan.
        assert_eq!(at(&mut clock, vec![stat(10, 1, 100, 50)]), 1800);
        assert_eq!(at(&mut clock, vec![stat(10, 1, 120, 50)]), 2000);
    }

    #[test]
    fn the_time_of_a_child_that_its_parent_does_not_reap_counts() {
        let mut clock = CpuClock::default();
        let parent = || stat(10, 1, 100, 0);
        assert_eq!(at(&mut clock, vec![parent(), stat(11, 10, 50, 0)]), 1500);
        assert_eq!(at(&mut clock, vec![parent()]), 1500);
        assert_eq!(at(&mut clock, vec![parent(), stat(12, 10, 70, 0)]), 2200);
        assert_eq!(at(&mut clock, vec![parent()]), 2200);
    }

    #[test]
    fn a_gain_from_a_child_that_was_not_seen_hides_no_other() {
        let mut clock = CpuClock::default();
        let first = vec![stat(10, 1, 0, 0), stat(11, 10, 50, 0)];
        assert_eq!(at(&mut clock, first), 500);
        // It reaped 11 with 60 ticks, then others with 5.
        assert_eq!(at(&mut clock, vec![stat(10, 1, 0, 65)]), 650);
        assert_eq!(at(&mut clock, vec![stat(10, 1, 0, 65)]), 650);
    }

    #[test]
    fn a_grandparent_inherits_what_an_ended_parent_has_reaped() {
        let mut clock = CpuClock::default();
        let first = vec![stat(10, 1, 0, 0), stat(11, 10, 20, 0), stat(12, 11, 30, 0)];
        assert_eq!(at(&mut clock, first), 500);
        assert_eq!(at(&mut clock, vec![stat(10, 1, 0, 50)]), 500);
    }

    #[test]
    fn parents_in_a_circle_end_the_search() {
        let mut clock = CpuClock::default();
        let first = vec![stat(11, 12, 20, 0), stat(12, 11, 30, 0)];
        assert_eq!(at(&mut clock, first), 500);
        assert_eq!(at(&mut clock, vec![]), 500);
    }
}

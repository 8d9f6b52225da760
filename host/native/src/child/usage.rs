//! Samples the resource use of process trees.
//!
//! rlimits hold for each process: eight processes of 256 MiB exceed a limit of
//! 256 MiB for the tree, and a loop that forks exceeds one of processor time. A
//! cgroup would enforce both, but few hosts may create one. So the registry samples
//! the running trees every [`SAMPLE_INTERVAL`] and kills a tree over its limit.
//! Between two samples a tree can exceed its limits; the report calls that partial.
//!
//! One pass over `/proc` serves all trees. It finds the members by their process
//! group: walking from parent to child would lose a process whose parent has ended.

use std::collections::HashMap;
use std::fs;
use std::time::Duration;

/// How often trees are sampled: every 200 ms, at which a pass over a few hundred
/// processes takes less than 1 % of a processor.
pub(crate) const SAMPLE_INTERVAL: Duration = Duration::from_millis(200);

/// Clock ticks of `/proc`'s times: `USER_HZ`, 100 on every Linux architecture
/// that Rust supports.
const TICKS_PER_SECOND: u64 = 100;

/// One process, as `/proc/PID/stat` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stat {
    pid: u32,
    parent: u32,
    group: u32,
    threads: u64,
    /// Its own processor time and that of the children it has reaped, in ticks.
    ticks: u64,
    resident_pages: u64,
}

impl Stat {
    /// Parses `/proc/PID/stat`. The name may contain spaces and parentheses.
    fn parse(line: &str) -> Option<Self> {
        let (pid, rest) = line.split_once(" (")?;
        let (_, rest) = rest.rsplit_once(") ")?;
        // proc(5) numbers the fields from 1; the state after the name is field 3.
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
        let id = |field: usize| u32::try_from(number(field)?).ok();
        let times = [14, 15, 16, 17];
        Some(Self {
            pid: pid.parse().ok()?,
            parent: id(4)?,
            group: id(5)?,
            threads: number(20)?,
            ticks: times.into_iter().map(number).sum::<Option<u64>>()?,
            resident_pages: number(24)?,
        })
    }
}

/// The processes of the sampled groups, by group.
#[derive(Debug, Default)]
pub(crate) struct Sample {
    groups: HashMap<u32, Vec<Stat>>,
}

impl Sample {
    /// Reads every process once.
    pub(crate) fn take(groups: impl IntoIterator<Item = u32>) -> Self {
        let mut sample = Self {
            groups: groups
                .into_iter()
                .map(|group| (group, Vec::new()))
                .collect(),
        };
        let Ok(entries) = fs::read_dir("/proc") else {
            return sample;
        };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let is_process = name.as_encoded_bytes().iter().all(u8::is_ascii_digit);
            if !is_process {
                continue;
            }
            // A process that has ended meanwhile reads as an error.
            let stat = fs::read_to_string(entry.path().join("stat")).ok();
            if let Some(stat) = stat.as_deref().and_then(Stat::parse)
                && let Some(members) = sample.groups.get_mut(&stat.group)
            {
                members.push(stat);
            }
        }
        sample
    }

    fn members(&self, group: u32) -> &[Stat] {
        self.groups.get(&group).map_or(&[], Vec::as_slice)
    }

    /// Returns the number of tasks of the group, threads included.
    pub(crate) fn tasks(&self, group: u32) -> u64 {
        self.members(group).iter().map(|stat| stat.threads).sum()
    }

    /// Returns the memory of the group in bytes: the sum of its resident pages, or
    /// the sum of proportional sizes where the first, in which shared pages count
    /// once for each process, is over `limit`.
    pub(crate) fn memory_bytes(&self, group: u32, limit: u64) -> u64 {
        let members = self.members(group);
        let pages: u64 = members.iter().map(|stat| stat.resident_pages).sum();
        let resident = pages.saturating_mul(rustix::param::page_size() as u64);
        if resident <= limit {
            return resident;
        }
        members
            .iter()
            .filter_map(|stat| proportional_bytes(stat.pid))
            .sum()
    }
}

/// Returns the proportional size of one process: shared pages are divided among
/// the processes that share them.
fn proportional_bytes(pid: u32) -> Option<u64> {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = rollup.lines().find(|line| line.starts_with("Pss:"))?;
    let kib: u64 = line.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024)
}

/// The processor time of one tree, added up over all samples.
#[derive(Debug, Default)]
pub(crate) struct CpuClock {
    last: HashMap<u32, Stat>,
    /// Ticks of members that ended and whose parent was not in the group, so that no
    /// member has reaped them and carries their time.
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
        for (pid, stat) in &self.last {
            if !now.contains_key(pid) && !self.last.contains_key(&stat.parent) {
                self.lost += stat.ticks;
            }
        }
        let ticks = self.lost + now.values().map(|stat| stat.ticks).sum::<u64>();
        self.last = now;
        Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stat(pid: u32, parent: u32, ticks: u64) -> Stat {
        Stat {
            pid,
            parent,
            group: 10,
            threads: 1,
            ticks,
            resident_pages: 1,
        }
    }

    fn sample(members: Vec<Stat>) -> Sample {
        Sample {
            groups: HashMap::from([(10, members)]),
        }
    }

    #[test]
    fn a_name_full_of_parentheses_parses() {
        let line = "12 (a) b (c) S 1 10 10 0 -1 4194304 1 0 0 0 5 6 7 8 20 0 3 0 99 1000 44 18446744073709551615";
        let expected = Stat {
            pid: 12,
            parent: 1,
            group: 10,
            threads: 3,
            ticks: 26,
            resident_pages: 44,
        };
        assert_eq!(Stat::parse(line), Some(expected));
        assert_eq!(Stat::parse("12 (cut off"), None);
    }

    #[test]
    fn this_process_finds_itself() {
        let group =
            u32::try_from(rustix::process::getpgrp().as_raw_nonzero().get()).expect("positive");
        let sample = Sample::take([group]);
        assert!(sample.tasks(group) >= 1);
        let resident = sample.memory_bytes(group, u64::MAX);
        assert!(resident > 0);
        assert!(
            sample.memory_bytes(group, 0) <= resident,
            "shared pages count once"
        );
        assert_eq!(sample.tasks(0), 0, "other groups are left out");
    }

    #[test]
    fn the_time_of_reaped_children_counts_once_and_that_of_orphans_too() {
        let mut clock = CpuClock::default();
        let at = |clock: &mut CpuClock, members| clock.advance(10, &sample(members)).as_millis();
        assert_eq!(
            at(
                &mut clock,
                vec![stat(10, 1, 100), stat(11, 10, 50), stat(12, 1, 30)]
            ),
            1800
        );
        // 10 has reaped 11, whose ticks are now its own; 12 was an orphan.
        assert_eq!(at(&mut clock, vec![stat(10, 1, 150)]), 1800);
        assert_eq!(at(&mut clock, vec![stat(10, 1, 170)]), 2000);
    }
}

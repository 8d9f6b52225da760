//! What a child's tree uses, by looking.
//!
//! rlimits are per process: eight children of 256 MiB beat a limit of 256 MiB,
//! and a loop that forks beats one of processor time. A cgroup would hold both,
//! but few hosts may make one. So the registry looks at the running trees every
//! [`SAMPLE_INTERVAL`] and ends the one that is over. Between two looks a tree
//! can exceed its limits: the report calls that partial.
//!
//! One pass over `/proc` serves all trees, and finds members by their process
//! group: walking from parent to child would lose whoever's parent has ended.

use std::collections::HashMap;
use std::fs;
use std::time::Duration;

/// How often trees are looked at: every 200 ms, which keeps a pass over a few
/// hundred processes below one hundredth of a processor.
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
    /// Its own time and that of the children it has waited for, in ticks.
    ticks: u64,
    resident_pages: u64,
}

impl Stat {
    /// Reads the line of one process. The name may hold spaces and parentheses.
    fn parse(line: &str) -> Option<Self> {
        let (pid, rest) = line.split_once(" (")?;
        let (_, rest) = rest.rsplit_once(") ")?;
        // Counted from the state, which proc(5) numbers 3.
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

/// All processes of the groups asked for, by group.
#[derive(Debug, Default)]
pub(crate) struct Sample {
    groups: HashMap<u32, Vec<Stat>>,
}

impl Sample {
    /// Looks at every process once.
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
            // A process that has gone meanwhile reads as an error.
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

    /// Tasks of the group, threads included.
    pub(crate) fn tasks(&self, group: u32) -> u64 {
        self.members(group).iter().map(|stat| stat.threads).sum()
    }

    /// Memory of the group in bytes: resident pages, and where their sum is over
    /// `limit` (pages that several share count several times in it) their
    /// proportional sizes.
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

/// What is charged to one process, shared pages divided among those who share.
fn proportional_bytes(pid: u32) -> Option<u64> {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = rollup.lines().find(|line| line.starts_with("Pss:"))?;
    let kib: u64 = line.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024)
}

/// The processor time of one tree, over all looks at it.
#[derive(Debug, Default)]
pub(crate) struct CpuClock {
    last: HashMap<u32, Stat>,
    /// Ticks of members that ended and whose parent was not of the group: nobody
    /// in it has waited for them.
    lost: u64,
}

impl CpuClock {
    /// Returns the time used up to `sample`.
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
        assert_eq!(
            sample.tasks(0),
            0,
            "groups that nobody asked for are left out"
        );
    }

    #[test]
    fn time_of_the_waited_for_counts_once_and_of_orphans_too() {
        let mut clock = CpuClock::default();
        let at = |clock: &mut CpuClock, members| clock.advance(10, &sample(members)).as_millis();
        assert_eq!(
            at(
                &mut clock,
                vec![stat(10, 1, 100), stat(11, 10, 50), stat(12, 1, 30)]
            ),
            1800
        );
        // 11 was waited for by 10, whose ticks have grown by it; 12 was an orphan.
        assert_eq!(at(&mut clock, vec![stat(10, 1, 150)]), 1800);
        assert_eq!(at(&mut clock, vec![stat(10, 1, 170)]), 2000);
    }
}

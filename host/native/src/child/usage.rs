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
    /// The first thread has ended and others run: the kernel then shows no memory here.
    first_thread_ended: bool,
}

impl Stat {
    /// Parses `/proc/PID/stat`. The name is what the process chose: any bytes, with
    /// spaces and parentheses.
    fn parse(line: &[u8]) -> Option<Self> {
        let name = line.iter().position(|byte| *byte == b'(')?;
        let end = line.iter().rposition(|byte| *byte == b')')?;
        let pid = std::str::from_utf8(line.get(..name)?).ok()?.trim();
        let rest = std::str::from_utf8(line.get(end + 1..)?).ok()?;
        // proc(5) numbers the fields from 1; the state after the name is field 3.
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
        let id = |field: usize| u32::try_from(number(field)?).ok();
        let times = [14, 15, 16, 17];
        let threads = number(20)?;
        Some(Self {
            pid: pid.parse().ok()?,
            parent: id(4)?,
            group: id(5)?,
            threads,
            ticks: times.into_iter().map(number).sum::<Option<u64>>()?,
            resident_pages: number(24)?,
            first_thread_ended: fields.first() == Some(&"Z") && threads > 1,
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
            let stat = fs::read(entry.path().join("stat")).ok();
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

    /// Returns the memory of the group in bytes, page tables included: the sum of its
    /// resident pages, or the sum of proportional sizes where the first, in which shared
    /// pages count once for each process, is over `limit`. A process whose proportional
    /// size cannot be read counts with its resident pages.
    pub(crate) fn memory_bytes(&self, group: u32, limit: u64) -> u64 {
        let members: Vec<_> = self.members(group).iter().map(Memory::read).collect();
        let resident: u64 = members.iter().map(Memory::upper_bound).sum();
        if resident <= limit {
            return resident;
        }
        members.iter().map(Memory::proportional).sum()
    }
}

/// The memory of one process, in bytes.
#[derive(Debug)]
struct Memory {
    pid: u32,
    resident: u64,
    page_tables: u64,
}

impl Memory {
    fn read(stat: &Stat) -> Self {
        let mut resident = stat.resident_pages;
        let mut thread = stat.pid;
        if stat.first_thread_ended {
            // The other threads still have the memory, and each of them shows all of it.
            let shown = shown_by_other_thread(stat.pid);
            (thread, resident) = shown.unwrap_or((stat.pid, resident));
        }
        let status = format!("/proc/{}/task/{thread}/status", stat.pid);
        Self {
            pid: stat.pid,
            resident: resident.saturating_mul(rustix::param::page_size() as u64),
            // A process that has ended meanwhile has none.
            page_tables: kib_line(&status, "VmPTE:").unwrap_or(0),
        }
    }

    fn upper_bound(&self) -> u64 {
        self.resident.saturating_add(self.page_tables)
    }

    /// Returns the proportional size: shared pages are divided among the processes that
    /// share them. It cannot be read of a process that is not dumpable.
    fn proportional(&self) -> u64 {
        let size = kib_line(&format!("/proc/{}/smaps_rollup", self.pid), "Pss:");
        size.unwrap_or(self.resident)
            .saturating_add(self.page_tables)
    }
}

/// Returns a thread of the process that has not ended, and the resident pages that it shows.
fn shown_by_other_thread(pid: u32) -> Option<(u32, u64)> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).ok()?;
    let numbers = tasks.flatten().filter_map(|task| {
        let name = task.file_name();
        name.to_str()?.parse::<u32>().ok()
    });
    numbers.filter(|thread| *thread != pid).find_map(|thread| {
        let stat = fs::read(format!("/proc/{pid}/task/{thread}/stat")).ok()?;
        let pages = Stat::parse(&stat)?.resident_pages;
        (pages > 0).then_some((thread, pages))
    })
}

/// Returns the number of bytes in the line of a file of `/proc` that begins with `label` and
/// counts in KiB. The file may hold a name that is not UTF-8.
fn kib_line(path: &str, label: &str) -> Option<u64> {
    let text = fs::read(path).ok()?;
    let mut lines = text.split(|byte| *byte == b'\n');
    let line = lines.find(|line| line.starts_with(label.as_bytes()))?;
    let number = std::str::from_utf8(line)
        .ok()?
        .split_ascii_whitespace()
        .nth(1)?;
    Some(number.parse::<u64>().ok()?.saturating_mul(1024))
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
            first_thread_ended: false,
        }
    }

    fn sample(members: Vec<Stat>) -> Sample {
        Sample {
            groups: HashMap::from([(10, members)]),
        }
    }

    #[test]
    fn a_name_full_of_parentheses_parses() {
        let line = b"12 (a) b (c) S 1 10 10 0 -1 4194304 1 0 0 0 5 6 7 8 20 0 3 0 99 1000 44 18446744073709551615";
        let expected = Stat {
            pid: 12,
            parent: 1,
            group: 10,
            threads: 3,
            ticks: 26,
            resident_pages: 44,
            first_thread_ended: false,
        };
        assert_eq!(Stat::parse(line), Some(expected.clone()));
        assert_eq!(Stat::parse(b"12 (cut off"), None);
        let renamed: Vec<u8> = [&b"12 (\xff\xfe) b (\xc3) "[..], &line[13..]].concat();
        assert_eq!(Stat::parse(&renamed), Some(expected), "{renamed:?}");
    }

    #[test]
    fn a_first_thread_that_has_ended_is_told_from_an_ended_process() {
        let with = |state: &str, threads: u32| {
            let line =
                format!("12 (a) {state} 1 10 10 0 -1 0 1 0 0 0 5 6 7 8 20 0 {threads} 0 99 0 0");
            Stat::parse(line.as_bytes()).expect("a whole line")
        };
        assert!(with("Z", 2).first_thread_ended);
        assert!(!with("Z", 1).first_thread_ended);
        assert!(!with("Z", 0).first_thread_ended);
        assert!(!with("S", 2).first_thread_ended);
    }

    #[test]
    fn page_tables_count_and_an_unreadable_size_is_no_zero() {
        let own = Stat {
            resident_pages: 10,
            ..stat(std::process::id(), 1, 0)
        };
        let memory = Memory::read(&own);
        assert!(memory.page_tables > 0);
        assert!(memory.proportional() > memory.page_tables);
        // No process has this number.
        let gone = Memory {
            pid: u32::MAX,
            ..memory
        };
        assert_eq!(gone.proportional(), gone.upper_bound());
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

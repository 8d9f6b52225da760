//! The memory of one tree: its upper bound, and how it is measured where the bound is not enough.

use std::fs;
use std::time::{Duration, Instant};

use super::descriptors::{Buffers, sockets_near};
use super::footprint::Footprint;
use super::machine::Machine;
use super::proc::kib;
use super::sample::Sample;
use super::shared::SharedMemory;

/// How long one measurement reads: 500 ms, after which the processes that are left count with
/// their upper bounds. A child decides how long the kernel takes for its page tables and mappings.
const MEASURING_TIME: Duration = Duration::from_millis(500);

/// The memory of one tree, as one pass sees it.
#[derive(Debug)]
pub(crate) struct TreeMemory {
    members: Vec<Footprint>,
    machine: Machine,
}

impl TreeMemory {
    /// Of the members of `group` in `sample`.
    pub(crate) fn read(group: u32, sample: &Sample) -> Self {
        let members = sample.members(group).iter().map(Footprint::read);
        Self {
            members: members.collect(),
            machine: sample.machine(),
        }
    }

    /// Returns the resident and swapped pages and the page tables, in bytes; pages that processes
    /// share count once for each.
    pub(crate) fn resident(&self) -> u64 {
        self.sum(Footprint::resident)
    }

    fn sum(&self, of: impl Fn(&Footprint) -> u64) -> u64 {
        self.members.iter().map(of).fold(0, u64::saturating_add)
    }

    /// Returns a bound that the tree's memory does not exceed, in bytes: a good one where that
    /// is needed to be within `limit`.
    pub(crate) fn upper_bound(&self, limit: u64) -> u64 {
        let descriptors = self.sum(|process| process.descriptors);
        // A descriptor may be a memfd that no process has mapped.
        let mapped = match descriptors {
            0 => self.sum(|process| process.mapped),
            _ => u64::MAX,
        };
        let shared = mapped.min(self.machine.shared);
        let pages = self
            .sum(Footprint::without_shared)
            .saturating_add(shared.max(self.sum(|process| process.resident_shared)));
        let with = |sockets: u64| {
            let buffers = sockets.saturating_mul(self.machine.per_socket);
            pages.saturating_add(buffers)
        };
        match with(descriptors) {
            bound if bound <= limit => bound,
            _ => with(descriptors.min(self.sockets())),
        }
    }

    /// Returns how many sockets the tree can have; all members are in one network namespace.
    fn sockets(&self) -> u64 {
        let of_first = self.members.first().map(|first| sockets_near(first.pid));
        of_first.unwrap_or(u64::MAX)
    }

    /// Returns the measurement that finds out whether the tree, no file of which is larger than
    /// `largest_file`, exceeds `limit`.
    pub(crate) fn measurement(self, limit: u64, largest_file: u64) -> Measurement {
        Measurement {
            memory: self,
            limit,
            largest_file,
        }
    }
}

/// Reads what a pass leaves out, because a child determines how long it takes: the sizes of shared
/// memory, buffers, and pages of which each process has a share.
#[derive(Debug)]
pub(crate) struct Measurement {
    memory: TreeMemory,
    limit: u64,
    largest_file: u64,
}

impl Measurement {
    /// Returns the memory of the tree in bytes. It stops as soon as a bound is within the limit.
    pub(crate) fn run(&self) -> u64 {
        self.run_until(Instant::now() + MEASURING_TIME)
    }

    fn run_until(&self, deadline: Instant) -> u64 {
        let members = &self.memory.members;
        let mut shared = SharedMemory::new();
        let mut buffers = Buffers::new(self.memory.machine.per_socket);
        for process in members {
            if Instant::now() > deadline {
                shared.add_unread(process.mapped);
            } else {
                shared.add_mappings(process);
            }
            buffers.add(process, &mut shared, deadline);
        }
        let sockets = self.memory.sockets();
        let hidden = buffers.hidden_files(sockets);
        shared.add_unread(hidden.saturating_mul(self.largest_file));
        let unnamed = shared.bytes(self.memory.machine.shared);
        let buffers = buffers.bytes(sockets);
        let resident = Shares {
            without_shared: self.memory.sum(Footprint::without_shared),
            shared: self.memory.sum(|process| process.resident_shared),
        };
        let bound = resident.total(unnamed).saturating_add(buffers);
        if bound <= self.limit {
            return bound;
        }
        let mut shares = Shares::default();
        for process in members {
            let in_time = Instant::now() <= deadline;
            match in_time.then(|| Shares::read(process)).flatten() {
                Some(read) => shares.add(&read),
                None => {
                    let now = process.again();
                    shares.add(&now.map_or(Shares::default(), |now| Shares {
                        without_shared: now.without_shared(),
                        shared: now.resident_shared,
                    }));
                }
            }
        }
        shares.total(unnamed).saturating_add(buffers)
    }
}

/// What processes have of their resident pages, in bytes.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Shares {
    without_shared: u64,
    /// In shared memory and temporary file systems.
    shared: u64,
}

impl Shares {
    /// Returns the proportional shares of a process: pages that processes share are divided among
    /// them. They cannot be read of a process that is not dumpable, but by root.
    fn read(process: &Footprint) -> Option<Self> {
        let text = fs::read(format!("/proc/{}/smaps_rollup", process.thread)).ok()?;
        // The kernel shows an empty file for a process without memory, as one that has ended.
        let whole = kib(&text, "Pss:")?;
        let line = |label| kib(&text, label).unwrap_or(0);
        let (shared, files) = (line("Pss_Shmem:"), line("Pss_File:"));
        // Before Linux 5.4 the kernel does not tell them apart, and all of it counts.
        let given_up = files.saturating_sub(line("Locked:"));
        let without_shared = whole.saturating_sub(shared.saturating_add(given_up));
        Some(Self {
            without_shared: without_shared.saturating_add(process.beside),
            shared,
        })
    }

    fn add(&mut self, other: &Self) {
        self.without_shared = self.without_shared.saturating_add(other.without_shared);
        self.shared = self.shared.saturating_add(other.shared);
    }

    /// Returns all of it, with the shared memory that has no name (`unnamed`), of which a part is
    /// resident.
    fn total(&self, unnamed: u64) -> u64 {
        self.without_shared.saturating_add(self.shared.max(unnamed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::child::usage::footprint::tests::own;

    fn tree() -> TreeMemory {
        TreeMemory {
            members: vec![own()],
            machine: Machine::read(),
        }
    }

    #[test]
    fn a_measurement_is_within_the_bound_and_counts_page_tables() {
        let shares = Shares::read(&own()).expect("its own");
        assert!(shares.without_shared > own().beside);
        let measured = tree().measurement(0, u64::MAX).run();
        assert!(measured > 0);
        // Other tests allocate meanwhile.
        assert!(measured <= tree().upper_bound(u64::MAX).saturating_mul(2));
    }

    #[test]
    fn an_unreadable_process_counts_with_its_resident_pages() {
        let unreadable = Footprint {
            pid: std::process::id(),
            thread: u32::MAX,
            private_or_locked: 1000,
            resident_shared: 200,
            beside: 30,
            mapped: 0,
            descriptors: 0,
        };
        let tree = TreeMemory {
            members: vec![unreadable],
            machine: Machine::read(),
        };
        assert_eq!(tree.resident(), 1230);
        assert!(tree.measurement(0, u64::MAX).run() >= 1230);
    }

    /// Between its end and its reaping `/proc` shows a process that has no memory any more, as it
    /// shows the kernel's own threads.
    #[test]
    fn a_process_that_has_no_memory_any_more_counts_nothing() {
        let processes = crate::child::usage::proc::numbers("/proc").expect("it is mounted");
        let has_none = |pid: &u32| {
            let status = fs::read(format!("/proc/{pid}/status")).unwrap_or_default();
            !status.is_empty() && kib(&status, "VmSize:").is_none()
        };
        let Some(pid) = processes.into_iter().find(has_none) else {
            println!("not shown, this machine shows no thread of the kernel");
            return;
        };
        let seen_before = Footprint {
            pid,
            thread: pid,
            private_or_locked: 1 << 40,
            resident_shared: 1 << 40,
            beside: 1 << 40,
            mapped: 1 << 40,
            descriptors: 0,
        };
        let tree = TreeMemory {
            members: vec![seen_before],
            machine: Machine::read(),
        };
        assert!(tree.measurement(0, u64::MAX).run() < 1 << 40);
    }

    #[test]
    fn what_there_is_no_time_for_counts_with_its_bound() {
        let bound = tree();
        let late = Instant::now();
        let measured = tree().measurement(0, u64::MAX).run_until(late);
        assert!(measured >= bound.resident() / 2, "{measured}");
    }

    #[test]
    fn shared_memory_counts_as_what_its_inodes_hold_or_as_what_is_resident() {
        let shares = Shares {
            without_shared: 10,
            shared: 5,
        };
        assert_eq!(shares.total(3), 15);
        assert_eq!(shares.total(100), 110);
    }
}

//! The memory of one process, from files whose cost the process does not determine.

use std::fs;

use super::proc::{is_gone, kib, number, numbers};
use super::stat::Stat;

/// The memory of one process, in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Footprint {
    pub(super) pid: u32,
    /// A thread that still has the memory; the first one may have ended.
    pub(super) thread: u32,
    /// Its resident pages, without those of shared memory and temporary file systems, and of other files only those that
    /// it has locked: the kernel gives the others up when it needs memory, whether the process ends or not.
    pub(super) private_or_locked: u64,
    /// Its resident pages of shared memory and temporary file systems.
    pub(super) resident_shared: u64,
    /// Its swapped and huge pages, and its page tables.
    pub(super) beside: u64,
    /// The size of all its mappings that may be shared and written: an upper bound of the shared
    /// memory that it has mapped, resident or not.
    pub(super) mapped: u64,
    /// The open descriptors of all its threads, those that they share counted for each.
    pub(super) descriptors: u64,
}

impl Footprint {
    pub(super) fn read(stat: &Stat) -> Self {
        let (thread, pages) = if stat.first_thread_ended {
            // The other threads still have the memory, and each of them shows all of it.
            shown_by_other_thread(stat.pid).unwrap_or((stat.pid, stat.resident_pages))
        } else {
            (stat.pid, stat.resident_pages)
        };
        let status = fs::read(format!("/proc/{}/task/{thread}/status", stat.pid));
        let status = status.unwrap_or_default();
        let resident = pages.saturating_mul(rustix::param::page_size() as u64);
        // A process that ended after the pass has no such lines.
        Self::parse((stat.pid, thread), resident, &status).with_descriptors(stat, &status)
    }

    fn parse((pid, thread): (u32, u32), resident: u64, status: &[u8]) -> Self {
        let line = |label| kib(status, label).unwrap_or(0);
        let resident_shared = line("RssShmem:");
        let locked = line("VmLck:").saturating_add(line("VmPin:"));
        let private_or_locked = match kib(status, "RssAnon:") {
            Some(private) => private.saturating_add(line("RssFile:").min(locked)),
            // All of it may be private.
            None => resident,
        };
        let beside = ["VmPTE:", "VmPMD:", "VmSwap:", "HugetlbPages:"];
        let private = line("VmData:").saturating_add(line("VmStk:"));
        Self {
            pid,
            thread,
            private_or_locked,
            resident_shared,
            beside: beside.into_iter().map(line).fold(0, u64::saturating_add),
            mapped: line("VmSize:").saturating_sub(private),
            descriptors: 0,
        }
    }

    fn with_descriptors(mut self, stat: &Stat, status: &[u8]) -> Self {
        let count = |thread| open_descriptors(stat.pid, thread, status);
        // Without `CLONE_FILES` a thread has descriptors of its own.
        let threads = match stat.threads {
            1 => None,
            _ => numbers(&format!("/proc/{}/task", stat.pid)),
        };
        self.descriptors = match threads {
            None => count(stat.pid),
            Some(threads) => threads.map(count).fold(0, u64::saturating_add),
        };
        self
    }

    /// Its pages in memory, shared ones included, with swapped pages and page tables; without pages of files.
    pub(super) fn resident(&self) -> u64 {
        self.without_shared().saturating_add(self.resident_shared)
    }

    /// The same without shared memory and temporary file systems.
    pub(super) fn without_shared(&self) -> u64 {
        self.private_or_locked.saturating_add(self.beside)
    }

    /// How many descriptors one of its threads has open, at most.
    pub(super) fn descriptors_of(&self, thread: u32) -> u64 {
        open_descriptors(self.pid, thread, b"")
    }

    /// Returns what the process has by now; none once it has ended, reaped or not, or has given
    /// up its memory on the way there.
    pub(super) fn again(&self) -> Option<Self> {
        let Ok(line) = fs::read(format!("/proc/{}/stat", self.pid)) else {
            // A file that cannot be read for lack of a descriptor shows no end.
            return (!is_gone(self.pid)).then(|| self.clone());
        };
        let now = Self::read(&Stat::parse(&line)?);
        (now.resident() > 0 || now.mapped > 0).then_some(now)
    }
}

/// Returns how many descriptors a thread has open, at most, where `status` is that of its process.
fn open_descriptors(pid: u32, thread: u32, status: &[u8]) -> u64 {
    let folder = fs::metadata(format!("/proc/{pid}/task/{thread}/fd"));
    match folder.map_or(0, |folder| folder.len()) {
        // Before Linux 6.2 the size is 0. The size of the table is at least the number.
        0 => number(status, "FDSize:").unwrap_or(0),
        shown => shown,
    }
}

/// Returns a thread of the process that has not ended, and the resident pages that it shows.
fn shown_by_other_thread(pid: u32) -> Option<(u32, u64)> {
    let threads = numbers(&format!("/proc/{pid}/task"))?;
    threads.filter(|thread| *thread != pid).find_map(|thread| {
        let stat = fs::read(format!("/proc/{pid}/task/{thread}/stat")).ok()?;
        let pages = Stat::parse(&stat)?.resident_pages;
        (pages > 0).then_some((thread, pages))
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    const STATUS: &[u8] = b"Name:\ta\nVmSize:\t  1000 kB\nRssAnon:\t 100 kB\nRssFile:\t 50 kB\n\
        RssShmem:\t 30 kB\nVmData:\t 300 kB\nVmStk:\t 100 kB\nVmPTE:\t 7 kB\nVmSwap:\t 5 kB\n\
        HugetlbPages:\t 2048 kB\n";

    #[test]
    fn every_kind_of_page_counts() {
        let read = Footprint::parse((1, 1), 180 * 1024, STATUS);
        assert_eq!(read.private_or_locked, 100 * 1024);
        assert_eq!(read.resident_shared, 30 * 1024);
        assert_eq!(read.beside, (7 + 5 + 2048) * 1024);
        assert_eq!(read.mapped, 600 * 1024);
        assert_eq!(read.resident(), (130 + 7 + 5 + 2048) * 1024);
    }

    #[test]
    fn pages_of_files_count_as_far_as_the_process_may_have_locked_them() {
        for (line, counted) in [
            ("VmLck:\t 20 kB\n", 120),
            ("VmPin:\t 20 kB\n", 120),
            ("VmLck:\t 500 kB\nVmPin:\t 1 kB\n", 150),
            ("VmLck:\t 0 kB\n", 100),
        ] {
            let status = [STATUS, line.as_bytes()].concat();
            let read = Footprint::parse((1, 1), 180 * 1024, &status);
            assert_eq!(read.private_or_locked, counted * 1024, "{line}");
        }
    }

    #[test]
    fn a_status_that_cannot_be_read_leaves_the_resident_pages() {
        let read = Footprint::parse((1, 1), 4096, b"");
        assert_eq!(read.resident(), 4096);
    }

    #[test]
    fn this_process_has_memory_page_tables_and_descriptors() {
        let own = own();
        assert!(own.private_or_locked > 0 && own.beside > 0 && own.mapped > 0);
        let count = || own_stat_and(|stat| Footprint::read(stat).descriptors);
        assert!(count() >= 1);
        let before = own.descriptors;
        // Far below the usual limit of 1024 descriptors, which other tests need too.
        let open: Vec<_> = (0..150).map(|_| std::io::pipe().expect("a pipe")).collect();
        assert!(count() >= before.min(count()).max(open.len() as u64));
    }

    pub(crate) fn own() -> Footprint {
        own_stat_and(Footprint::read)
    }

    fn own_stat_and<R>(read: impl FnOnce(&Stat) -> R) -> R {
        let stat = fs::read("/proc/self/stat").expect("it is mounted");
        read(&Stat::parse(&stat).expect("a whole line"))
    }
}

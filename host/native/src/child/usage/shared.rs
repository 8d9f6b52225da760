//! Shared memory that has no name in a file system: shared anonymous mappings and memfds.
//!
//! Its pages belong to an inode and not to a process. They stay when a process gives up its
//! mapping of them (`MADV_DONTNEED`), and no process's resident pages show them then. So each
//! inode counts once for the tree, with what it holds.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt;

use rustix::fs::makedev;

use super::footprint::Footprint;
use crate::sandbox::sys::shared_memory_device;

/// The unit of `st_blocks`, in bytes.
const BLOCK_BYTES: u64 = 512;

/// A file, by device and inode.
type FileId = (u64, u64);

/// The shared memory of one tree.
#[derive(Debug, Default)]
pub(super) struct SharedMemory {
    devices: Vec<u64>,
    /// What each inode holds, in bytes: exact, or the size of its mappings.
    held: HashMap<FileId, Held>,
    /// What could not be read at all may be as much as this.
    unread: u64,
}

#[derive(Debug, Clone, Copy)]
enum Held {
    Exactly(u64),
    /// No more than the mapped part of it, from the lowest to the highest offset.
    Within(u64, u64),
}

/// One mapping, as `/proc/PID/maps` shows it.
#[derive(Debug, PartialEq, Eq)]
struct Mapping<'a> {
    range: (&'a str, &'a str),
    device: u64,
    inode: u64,
    offset: u64,
    bytes: u64,
    is_huge: bool,
}

impl<'a> Mapping<'a> {
    fn parse(line: &'a [u8]) -> Option<Self> {
        // The path may contain any byte.
        let mut fields = line.splitn(6, |byte| *byte == b' ');
        let mut text = || std::str::from_utf8(fields.next()?).ok();
        let (range, _permissions, offset, device, inode) =
            (text()?, text()?, text()?, text()?, text()?);
        let range = range.split_once('-')?;
        let (major, minor) = device.split_once(':')?;
        let hex = |text| u64::from_str_radix(text, 16).ok();
        let number = |text| u32::from_str_radix(text, 16).ok();
        Some(Self {
            range,
            device: makedev(number(major)?, number(minor)?),
            inode: inode.parse().ok()?,
            offset: hex(offset)?,
            bytes: hex(range.1)?.checked_sub(hex(range.0)?)?,
            is_huge: fields
                .next()
                .is_some_and(|path| path.trim_ascii_start().starts_with(b"/anon_hugepage")),
        })
    }
}

impl SharedMemory {
    pub(super) fn new() -> Self {
        // Files in /dev/shm are shared memory that has a name. A session has one of its own, which
        // is bounded in size.
        let named = fs::metadata("/dev/shm").map(|folder| folder.dev());
        let devices = [shared_memory_device(), named.ok()];
        Self {
            devices: devices.into_iter().flatten().collect(),
            ..Self::default()
        }
    }

    /// Adds what the process has mapped; the upper bound of it if that cannot be read.
    pub(super) fn add_mappings(&mut self, process: &Footprint) {
        let thread = process.thread;
        let maps = fs::read(format!("/proc/{thread}/maps")).unwrap_or_default();
        // An ended thread has an empty file.
        if maps.is_empty() && process.again().is_some() {
            self.add_unread(process.mapped);
        }
        for mapping in maps.split(|byte| *byte == b'\n').filter_map(Mapping::parse) {
            if mapping.is_huge || self.devices.contains(&mapping.device) {
                self.add(thread, &mapping);
            }
        }
    }

    fn add(&mut self, thread: u32, mapping: &Mapping<'_>) {
        let id = (mapping.device, mapping.inode);
        let end = mapping.offset.saturating_add(mapping.bytes);
        match self.held.get_mut(&id) {
            Some(Held::Exactly(_)) => {}
            Some(Held::Within(from, to)) => {
                (*from, *to) = ((*from).min(mapping.offset), (*to).max(end));
            }
            None => {
                // Only root may follow the link.
                let hex = |text: &str| u64::from_str_radix(text, 16).unwrap_or(0);
                let (from, to) = (hex(mapping.range.0), hex(mapping.range.1));
                let file = fs::metadata(format!("/proc/{thread}/map_files/{from:x}-{to:x}"));
                let held = match file {
                    Ok(file) if (file.dev(), file.ino()) == id => {
                        Held::Exactly(file.blocks().saturating_mul(BLOCK_BYTES))
                    }
                    _ => Held::Within(mapping.offset, end),
                };
                self.held.insert(id, held);
            }
        }
    }

    /// Adds an open file, if it is shared memory.
    pub(super) fn add_file(&mut self, file: &fs::Metadata) {
        if self.devices.contains(&file.dev()) {
            let held = Held::Exactly(file.blocks().saturating_mul(BLOCK_BYTES));
            self.held.insert((file.dev(), file.ino()), held);
        }
    }

    /// Adds mappings of which nothing can be read but that they are no larger than `most`.
    pub(super) fn add_unread(&mut self, most: u64) {
        self.unread = self.unread.saturating_add(most);
    }

    /// Returns what the tree holds at most. What is not known exactly is bounded by what the whole
    /// machine has in shared memory (`everywhere`).
    pub(super) fn bytes(&self, everywhere: u64) -> u64 {
        let (mut exact, mut within) = (0_u64, self.unread);
        for held in self.held.values() {
            match held {
                Held::Exactly(bytes) => exact = exact.saturating_add(*bytes),
                Held::Within(from, to) => within = within.saturating_add(to.saturating_sub(*from)),
            }
        }
        exact.saturating_add(within.min(everywhere))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::child::usage::footprint::tests::own;

    #[test]
    fn a_mapping_is_read_whatever_its_path_contains() {
        let line = b"7f00-9f00 rw-s 00001000 00:01 77                      /dev/\xff ero (deleted)";
        let mapping = Mapping::parse(line).expect("a whole line");
        assert_eq!((mapping.device, mapping.inode), (1, 77));
        assert_eq!((mapping.offset, mapping.bytes), (0x1000, 0x2000));
        assert!(!mapping.is_huge);
        let huge = b"7f00-9f00 rw-s 00000000 00:0f 78      /anon_hugepage (deleted)";
        assert!(Mapping::parse(huge).expect("a whole line").is_huge);
        assert!(Mapping::parse(b"7f00-9f00 rw-p 00000000 00:00 0 ").is_some());
        assert_eq!(Mapping::parse(b""), None);
        assert_eq!(makedev(0x103, 0x1_0002), 0x1001_0302);
    }

    #[test]
    fn an_inode_counts_once_and_within_what_the_machine_has() {
        let mut memory = SharedMemory {
            devices: vec![1],
            ..SharedMemory::default()
        };
        let mapping = |inode, offset| Mapping {
            range: ("0", "0"),
            device: 1,
            inode,
            offset,
            bytes: 100,
            is_huge: false,
        };
        // No process has this number, so that only the sizes are known.
        for (inode, offset) in [(5, 0), (5, 50), (6, 0)] {
            memory.add(u32::MAX, &mapping(inode, offset));
        }
        assert_eq!(memory.bytes(u64::MAX), 250);
        assert_eq!(memory.bytes(240), 240);
        memory.add_unread(1000);
        assert_eq!(memory.bytes(u64::MAX), 1250);
    }

    #[test]
    fn mappings_that_cannot_be_read_count_with_their_bound_unless_the_process_has_ended() {
        let unreadable = Footprint {
            thread: u32::MAX,
            mapped: 12_345,
            ..own()
        };
        let bytes = |process| {
            let mut memory = SharedMemory::default();
            memory.add_mappings(&process);
            memory.bytes(u64::MAX)
        };
        assert_eq!(bytes(unreadable.clone()), 12_345);
        let gone = Footprint {
            pid: u32::MAX,
            ..unreadable
        };
        assert_eq!(bytes(gone), 0);
    }
}

//! One pass over `/proc`.

use std::collections::HashMap;
use std::sync::OnceLock;
use std::{fs, io};

use super::machine::Machine;
use super::marks::Marks;
use super::stat::Stat;
use crate::launch::{TreeMark, is_shortage};

/// What names the processes of a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TreeName {
    /// The process group of the leader, by which the tree is called in a [`Sample`].
    pub(crate) group: u32,
    /// The mark of all processes; none where they stay in the group.
    pub(crate) mark: Option<TreeMark>,
}

/// The processes of the sampled trees, by the group of the leader.
#[derive(Debug, Default)]
pub(crate) struct Sample {
    groups: HashMap<u32, Vec<Stat>>,
    /// Read once for all trees.
    machine: OnceLock<Machine>,
}

impl Sample {
    /// Reads every process once.
    ///
    /// # Errors
    ///
    /// `/proc` cannot be read, or the host is short of descriptors or memory. What was read until
    /// then is not returned: a process that is missing in it would count as ended.
    pub(crate) fn take(trees: &[TreeName], marks: &mut Marks) -> io::Result<Self> {
        let mut sample = Self {
            groups: trees.iter().map(|tree| (tree.group, Vec::new())).collect(),
            machine: OnceLock::new(),
        };
        let by_mark = trees
            .iter()
            .filter_map(|tree| Some((tree.mark?.locks(), *tree)));
        let by_mark: HashMap<_, TreeName> = by_mark.collect();
        for entry in fs::read_dir("/proc")? {
            let entry = entry?;
            let name = entry.file_name();
            let is_process = name.as_encoded_bytes().iter().all(u8::is_ascii_digit);
            if !is_process {
                continue;
            }
            let stat = match fs::read(entry.path().join("stat")) {
                Ok(stat) => stat,
                // It has ended meanwhile, or belongs to another user and is hidden (hidepid).
                Err(error) if !is_shortage(&error) => continue,
                Err(error) => return Err(error),
            };
            let Some(stat) = Stat::parse(&stat) else {
                continue;
            };
            let group = if by_mark.is_empty() || sample.groups.contains_key(&stat.group) {
                Some(stat.group)
            } else {
                marks.of(&stat)?.and_then(|marked| {
                    let tree = by_mark.get(&marked.locks)?;
                    let mark = tree.mark?;
                    mark.is_of(marked.locks, marked.uid, stat.start_ticks)
                        .then_some(tree.group)
                })
            };
            if let Some(members) = group.and_then(|group| sample.groups.get_mut(&group)) {
                members.push(stat);
            }
        }
        marks.end_pass();
        Ok(sample)
    }

    pub(super) fn members(&self, group: u32) -> &[Stat] {
        self.groups.get(&group).map_or(&[], Vec::as_slice)
    }

    pub(super) fn machine(&self) -> Machine {
        *self.machine.get_or_init(Machine::read)
    }

    /// Returns the number of tasks of the group, threads included.
    pub(crate) fn tasks(&self, group: u32) -> u64 {
        self.members(group).iter().map(|stat| stat.threads).sum()
    }

    #[cfg(test)]
    pub(super) fn of(group: u32, members: Vec<Stat>) -> Self {
        Self {
            groups: HashMap::from([(group, members)]),
            ..Self::default()
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    use super::*;

    #[test]
    fn this_process_finds_itself() {
        let group =
            u32::try_from(rustix::process::getpgrp().as_raw_nonzero().get()).expect("positive");
        let sample = taken(group, None);
        assert!(sample.tasks(group) >= 1);
        assert_eq!(sample.tasks(0), 0, "other groups are left out");
    }

    pub(crate) fn taken(group: u32, mark: Option<TreeMark>) -> Sample {
        let tree = TreeName { group, mark };
        Sample::take(&[tree], &mut Marks::default()).expect("it is mounted")
    }

    #[test]
    fn a_process_outside_the_group_is_found_by_its_mark() {
        let number = 0x5eed_0000_0000 + u64::from(std::process::id());
        let own = getrlimit(Resource::Locks);
        let limit = Rlimit {
            current: Some(number),
            ..own
        };
        setrlimit(Resource::Locks, limit).expect("the kernel does not apply it");
        let locks = [number, own.maximum.unwrap_or(u64::MAX)];
        let uid = rustix::process::getuid().as_raw();
        let start = std::fs::read("/proc/self/stat").expect("it is mounted");
        let start = Stat::parse(&start).expect("a whole line").start_ticks;
        let finds_this = |locks, uid, since| {
            let sample = taken(u32::MAX, Some(TreeMark::new(locks, uid, since)));
            let mut members = sample.members(u32::MAX).iter();
            members.any(|stat| stat.pid == std::process::id())
        };
        assert!(finds_this(locks, uid, start));
        assert!(!finds_this([number + 1, locks[1]], uid, start));
        // Somebody has given the mark of the tree to a process of another user, or to one from before.
        assert!(!finds_this(locks, uid + 1, start));
        assert!(!finds_this(locks, uid, start + 1));
        setrlimit(Resource::Locks, own).expect("within the hard limit");
    }

    #[test]
    fn a_shortage_is_told_from_a_process_that_has_ended() {
        let error = |errno: rustix::io::Errno| io::Error::from_raw_os_error(errno.raw_os_error());
        assert!(is_shortage(&error(rustix::io::Errno::MFILE)));
        assert!(!is_shortage(&error(rustix::io::Errno::SRCH)));
        assert!(!is_shortage(&error(rustix::io::Errno::NOENT)));
        assert!(!is_shortage(&error(rustix::io::Errno::ACCESS)));
    }
}

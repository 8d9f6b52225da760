//! One pass over `/proc`.

use std::collections::HashMap;
use std::sync::OnceLock;
use std::{fs, io};

use super::machine::Machine;
use super::stat::Stat;
use crate::launch::is_shortage;

/// The processes of the sampled groups, by group.
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
    pub(crate) fn take(groups: impl IntoIterator<Item = u32>) -> io::Result<Self> {
        let mut sample = Self {
            groups: groups
                .into_iter()
                .map(|group| (group, Vec::new()))
                .collect(),
            machine: OnceLock::new(),
        };
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
            if let Some(stat) = Stat::parse(&stat)
                && let Some(members) = sample.groups.get_mut(&stat.group)
            {
                members.push(stat);
            }
        }
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
mod tests {
    use super::*;

    #[test]
    fn this_process_finds_itself() {
        let group =
            u32::try_from(rustix::process::getpgrp().as_raw_nonzero().get()).expect("positive");
        let sample = Sample::take([group]).expect("it is mounted");
        assert!(sample.tasks(group) >= 1);
        assert_eq!(sample.tasks(0), 0, "other groups are left out");
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

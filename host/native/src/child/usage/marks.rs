//! Which tree each process belongs to, by the mark that it has inherited.
//!
//! A member that has left the process group of its leader is found by its limit on file locks
//! (`RLIMIT_LOCKS`), which its launcher has set to a number of this tree and the child cannot
//! change. The mark of a process never changes, so that it is read once.

use std::collections::HashMap;
use std::{fs, io};

use super::proc::number;
use super::stat::Stat;
use crate::launch::is_shortage;

/// The marks of the processes that the last pass has seen, by process id and start.
#[derive(Debug, Default)]
pub(crate) struct Marks {
    known: HashMap<(u32, u64), Option<u64>>,
    seen: HashMap<(u32, u64), Option<u64>>,
}

impl Marks {
    /// Returns the mark of a process; none if it has no limit, or has ended meanwhile.
    pub(super) fn of(&mut self, stat: &Stat) -> io::Result<Option<u64>> {
        let key = (stat.pid, stat.start_ticks);
        let mark = match self.known.get(&key) {
            Some(mark) => *mark,
            None => match fs::read(format!("/proc/{}/limits", stat.pid)) {
                Ok(limits) => number(&limits, "Max file locks"),
                Err(error) if is_shortage(&error) => return Err(error),
                Err(_) => None,
            },
        };
        self.seen.insert(key, mark);
        Ok(mark)
    }

    /// Forgets the processes that the pass has not seen.
    pub(super) fn end_pass(&mut self) {
        self.known = std::mem::take(&mut self.seen);
    }
}

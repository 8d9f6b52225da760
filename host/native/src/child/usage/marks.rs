//! Which tree each process belongs to, by the mark that it has inherited.
//!
//! A member that has left the process group of its leader is found by its [`TreeMark`](crate::launch::TreeMark), which the
//! child cannot change. What a process has of it never changes, so that it is read once.

use std::collections::HashMap;
use std::{fs, io};

use super::stat::Stat;
use crate::launch::{LockLimits, is_shortage, locks_in, uid_in};

/// What a process has of a mark.
#[derive(Debug, Clone, Copy)]
pub(super) struct Marked {
    pub(super) locks: LockLimits,
    pub(super) uid: u32,
}

/// What the processes that the last pass has seen have of marks, by process id and start.
#[derive(Debug, Default)]
pub(crate) struct Marks {
    known: HashMap<(u32, u64), Option<Marked>>,
    seen: HashMap<(u32, u64), Option<Marked>>,
}

impl Marks {
    /// Returns what a process has of a mark; none if it has no limit on file locks, or has ended meanwhile.
    pub(super) fn of(&mut self, stat: &Stat) -> io::Result<Option<Marked>> {
        let key = (stat.pid, stat.start_ticks);
        let marked = match self.known.get(&key) {
            Some(marked) => *marked,
            None => match read(stat.pid, "limits")?.as_deref().and_then(locks_in) {
                None => None,
                Some(locks) => {
                    let uid = read(stat.pid, "status")?.as_deref().and_then(uid_in);
                    uid.map(|uid| Marked { locks, uid })
                }
            },
        };
        self.seen.insert(key, marked);
        Ok(marked)
    }

    /// Forgets the processes that the pass has not seen.
    pub(super) fn end_pass(&mut self) {
        self.known = std::mem::take(&mut self.seen);
    }
}

/// Returns the content of a file of a process; none if that has ended.
fn read(pid: u32, name: &str) -> io::Result<Option<Vec<u8>>> {
    match fs::read(format!("/proc/{pid}/{name}")) {
        Ok(content) => Ok(Some(content)),
        Err(error) if is_shortage(&error) => Err(error),
        Err(_) => Ok(None),
    }
}

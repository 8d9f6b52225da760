//! The children, their groups and their ends.
//!
//! Ended leaders are reaped at once: an unreaped one counts against the cap on
//! tasks, and hides the orphans behind it from `waitid`. Their group's number
//! stays sound without: as long as the group has a member the kernel gives the
//! number to nobody, and once it has none only a new leader can make a group of
//! that number, which is seen here. A process that merely gets the number as
//! its own is in another group, and cannot leave it.

use super::descriptor::Descriptor;
use super::socket;
use crate::raw::{call, number};
use crate::wire::{Report, Usage};

/// Children at once; the host's registry has 1024 entries by default.
const MAX_CHILDREN: usize = 1024;
/// Ended processes that are reaped between two looks for requests.
const REAPED_AT_ONCE: usize = 64;
const SIGKILL: u32 = 9;

struct Child {
    id: u32,
    /// The process group; none once it is known to be empty.
    group: Option<u32>,
    /// Where the end is reported; none once it is.
    status: Option<Descriptor>,
    released: bool,
}

/// All that are not released, or not gone.
pub(super) struct Children {
    slots: [Option<Child>; MAX_CHILDREN],
    /// So many slots may be taken, from the first: the rest need no look.
    used: usize,
}

impl Children {
    pub(super) fn new() -> Self {
        Self {
            slots: [const { None }; MAX_CHILDREN],
            used: 0,
        }
    }

    /// Whether there is room for one more.
    pub(super) fn has_room(&self) -> bool {
        self.used < MAX_CHILDREN || self.slots.iter().any(Option::is_none)
    }

    fn each(&mut self) -> impl Iterator<Item = &mut Child> {
        self.slots.iter_mut().take(self.used).flatten()
    }

    /// Notes a child that has started as the leader of the group `leader`.
    pub(super) fn insert(&mut self, id: u32, leader: u32, status: Descriptor) {
        for child in self.each() {
            if child.group == Some(leader) {
                child.group = None;
            }
        }
        let mut slots = self.slots.iter_mut().enumerate();
        if let Some((index, free)) = slots.find(|(_, slot)| slot.is_none()) {
            self.used = self.used.max(index + 1);
            *free = Some(Child {
                id,
                group: Some(leader),
                status: Some(status),
                released: false,
            });
        }
    }

    /// Reaps what has ended, and reports leaders. Says whether there may be more: who
    /// forks without pause must not keep pid 1 from the host's requests.
    pub(super) fn reap(&mut self) -> bool {
        let mut more = true;
        for _ in 0..REAPED_AT_ONCE {
            let Some(end) = wait(None) else {
                more = false;
                break;
            };
            let ended = |child: &&mut Child| child.group == Some(end.pid) && child.status.is_some();
            if let Some(child) = self.each().find(ended)
                && let Some(status) = child.status.take()
            {
                let last = kill_group(end.pid, 0).is_err();
                let report = Report::Ended {
                    signaled: end.signaled,
                    value: end.value,
                    last,
                    usage: end.usage,
                };
                child.released |= last;
                // Nobody listens any more where that fails.
                let _ = socket::send(&status, &report, None);
            }
        }
        self.sweep();
        more
    }

    /// Sends a signal to a child's leader, or to all of its group. The leader's number
    /// is its own until it is reaped, which is when the status goes.
    pub(super) fn signal(&self, id: u32, signal: u32, all: bool) {
        let child = self.slots.iter().flatten().find(|child| child.id == id);
        let Some((child, group)) = child.and_then(|child| Some((child, child.group?))) else {
            return;
        };
        if all {
            let _ = kill_group(group, signal);
        } else if child.status.is_some() {
            let _ = kill(group as usize, signal);
        }
    }

    /// Kills what is left of a child's group; it is forgotten once nothing is.
    pub(super) fn release(&mut self, id: u32) {
        if let Some(child) = self.each().find(|child| child.id == id) {
            child.released = true;
        }
        self.sweep();
    }

    /// A group that is killed ends without another look: a fork in it sees the
    /// signal or is signalled. The slot is kept until the last is reaped.
    fn sweep(&mut self) {
        for slot in self.slots.iter_mut().take(self.used) {
            let gone = slot.as_ref().is_some_and(|child| {
                let empty = |group| kill_group(group, SIGKILL).is_err();
                child.released && child.group.is_none_or(empty)
            });
            if gone {
                *slot = None;
            }
        }
        let last = |slots: &[Option<Child>]| slots.last().is_some_and(Option::is_none);
        while self.slots.get(..self.used).is_some_and(last) {
            self.used -= 1;
        }
    }
}

fn kill_group(group: u32, signal: u32) -> Result<(), i32> {
    kill((group as usize).wrapping_neg(), signal)
}

fn kill(whom: usize, signal: u32) -> Result<(), i32> {
    // SAFETY: takes no pointer.
    unsafe { call(number::KILL, [whom, signal as usize, 0, 0, 0, 0]) }.map(drop)
}

/// How a process ended.
pub(super) struct End {
    pid: u32,
    signaled: bool,
    value: i32,
    usage: Usage,
}

/// Reaps the process `pid`, or any that has ended; none if none has.
pub(super) fn wait(pid: Option<u32>) -> Option<End> {
    const P_ALL: usize = 0;
    const P_PID: usize = 1;
    const WEXITED: usize = 4;
    const WNOHANG: usize = 1;
    const CLD_EXITED: i32 = 1;
    let (kind, id, options) = match pid {
        Some(pid) => (P_PID, pid as usize, WEXITED),
        None => (P_ALL, 0, WEXITED | WNOHANG),
    };
    // A `siginfo_t`, a `struct rusage`.
    let mut info = [0i32; 32];
    let mut usage = [0u64; 18];
    let (info_at, usage_at) = ((&raw mut info).addr(), (&raw mut usage).addr());
    // SAFETY: both are writable and as large as the kernel's structures.
    unsafe { call(number::WAITID, [kind, id, info_at, options, usage_at, 0]) }.ok()?;
    let [_, _, code, _, pid, _, value, ..] = info;
    let [user, user_micros, system, system_micros, resident_kib, ..] = usage;
    (pid != 0).then_some(End {
        pid: pid.cast_unsigned(),
        signaled: code != CLD_EXITED,
        value,
        usage: Usage {
            user_micros: user * 1_000_000 + user_micros,
            system_micros: system * 1_000_000 + system_micros,
            resident_kib,
        },
    })
}

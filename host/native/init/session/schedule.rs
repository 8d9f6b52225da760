//! How the server is scheduled, and pid 1 beside it.
//!
//! The server runs on the processor of whoever asks it. Waiting it is a batch process,
//! which takes the processor from nobody. So who has asked goes on until it waits for
//! the answer, and wakes up with that. Else it would stand behind the child for the
//! processor, and a spawn would return when the child has ended. Serving it is a common
//! process, that answers although the child runs, and the child is one too.

use capspawn_raw::child::Affinity;
use capspawn_raw::syscall::{call, number};

const SCHED_OTHER: usize = 0;
const SCHED_BATCH: usize = 3;

/// Whether the server may change between the two: not where the host has chosen a policy
/// for itself, which the children have too.
#[derive(Clone, Copy)]
pub(super) struct Schedule {
    changes: bool,
}

impl Schedule {
    pub(super) fn new() -> Self {
        // SAFETY: takes no pointer.
        let own = unsafe { call(number::SCHED_GETSCHEDULER, [0; 6]) };
        Self {
            changes: own == Ok(SCHED_OTHER),
        }
    }

    pub(super) fn wait(self) {
        self.set(SCHED_BATCH);
    }

    pub(super) fn serve(self) {
        self.set(SCHED_OTHER);
    }

    /// It may always: the nice value stays. Refused all the same the server is slower, and its children stay what
    /// it is.
    fn set(self, policy: usize) {
        if self.changes {
            // A priority, which neither policy has.
            let parameters = 0u32;
            let args = [0, policy, (&raw const parameters).addr(), 0, 0, 0];
            // SAFETY: a `struct sched_param`, read only; 0 is the caller.
            let _ = unsafe { call(number::SCHED_SETSCHEDULER, args) };
        }
    }
}

/// Moves the process `pid`, which has just been made, off the caller's processor if it may
/// run on others: pid 1 makes the root while the server makes the network namespace. Not
/// left to the scheduler, which had both wait for one processor while another slept. Pid 1
/// stays there, where it only waits.
pub(super) fn part(pid: usize) {
    let mut own = 0u32;
    let args = [(&raw mut own).addr(), 0, 0, 0, 0, 0];
    // SAFETY: a number is stored.
    let _ = unsafe { call(number::GETCPU, args) };
    let mut others: Affinity = [0; _];
    let args = [0, size_of_val(&others), (&raw mut others).addr(), 0, 0, 0];
    // SAFETY: the mask is writable.
    let _ = unsafe { call(number::SCHED_GETAFFINITY, args) };
    if let Some(byte) = others.get_mut(own as usize / 8) {
        *byte &= !(1 << (own % 8));
    }
    let args = [
        pid,
        size_of_val(&others),
        (&raw const others).addr(),
        0,
        0,
        0,
    ];
    // SAFETY: the mask is read only. The kernel refuses an empty one.
    let _ = unsafe { call(number::SCHED_SETAFFINITY, args) };
}

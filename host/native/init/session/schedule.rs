//! How the server and pid 1 are scheduled.
//!
//! The host binds the server to the processor of the thread that sends a request. While idle
//! the server runs as SCHED_BATCH, so that waking it does not preempt the requester, which
//! keeps the processor until it blocks on the reply. Otherwise the requester would queue
//! for the processor behind the child, and a spawn would return when the child has ended.
//! While it serves, the server runs as SCHED_OTHER, so that it replies although the child
//! runs; the child inherits that policy.

use capspawn_raw::affinity::Affinity;
use capspawn_raw::syscall::{call, number};

const SCHED_OTHER: usize = 0;
const SCHED_BATCH: usize = 3;

/// Whether the server changes its policy. If the host has chosen another one for itself, the
/// server and the children keep it.
#[derive(Clone, Copy)]
pub(super) struct Schedule {
    changes: bool,
}

impl Schedule {
    /// Reads the present policy.
    pub(super) fn new() -> Self {
        // SAFETY: the call takes no pointer.
        let own = unsafe { call(number::SCHED_GETSCHEDULER, [0; 6]) };
        Self {
            changes: own == Ok(SCHED_OTHER),
        }
    }

    /// Chooses the policy for waiting.
    pub(super) fn idle(self) {
        self.set(SCHED_BATCH);
    }

    /// Chooses the policy for serving.
    pub(super) fn serve(self) {
        self.set(SCHED_OTHER);
    }

    /// The kernel allows this at an unchanged nice value. If it is refused anyway, the server is only slower, and
    /// its children keep its policy.
    fn set(self, policy: usize) {
        if self.changes {
            // The static priority, which is 0 in both policies.
            let parameters = 0u32;
            let args = [
                0,
                policy,
                (&raw const parameters).expose_provenance(),
                0,
                0,
                0,
            ];
            // SAFETY: the kernel reads a `struct sched_param`; pid 0 is the caller.
            let _ = unsafe { call(number::SCHED_SETSCHEDULER, args) };
        }
    }
}

/// Moves the process `pid`, which was just forked, off the caller's processor, if it may run on
/// others: pid 1 makes the root while the server makes the network namespace. The scheduler
/// left both waiting for one processor while another slept. Pid 1 keeps the mask: later it
/// only waits.
pub(super) fn move_away(pid: usize) {
    let mut own = 0u32;
    let args = [(&raw mut own).expose_provenance(), 0, 0, 0, 0, 0];
    // SAFETY: the kernel stores a number in `own`.
    let _ = unsafe { call(number::GETCPU, args) };
    let mut others: Affinity = [0; _];
    let args = [
        0,
        size_of_val(&others),
        (&raw mut others).expose_provenance(),
        0,
        0,
        0,
    ];
    // SAFETY: the kernel stores at most as many bytes as `others` has.
    let _ = unsafe { call(number::SCHED_GETAFFINITY, args) };
    if let Some(byte) = others.get_mut(own as usize / 8) {
        *byte &= !(1 << (own % 8));
    }
    let args = [
        pid,
        size_of_val(&others),
        (&raw const others).expose_provenance(),
        0,
        0,
        0,
    ];
    // The kernel refuses an empty mask.
    // SAFETY: the kernel reads `others`.
    let _ = unsafe { call(number::SCHED_SETAFFINITY, args) };
}

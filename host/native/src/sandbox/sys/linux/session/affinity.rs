//! The server runs where it is asked.
//!
//! Whoever asks for a child waits for it, so the processor that it leaves is the one
//! to start the child on: on another, which sleeps, both would first have to wait
//! for that to wake up, 45 µs on the machine where this was measured, against 6.
//! The scheduler's own hint for this, a synchronous wake-up, is not heard while
//! another processor has nothing to do. So the server is bound to the asker's
//! processor before it is asked, and the child gets the asker's affinity before
//! it executes, as the child of a `fork` does.

use std::sync::atomic::{AtomicUsize, Ordering};

use capspawn_raw::child::Affinity;
use rustix::thread::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity};

use super::processes::Processes;

/// The processor that the server was bound to last.
#[derive(Debug)]
pub(crate) struct Bound(AtomicUsize);

impl Bound {
    /// To none yet.
    pub(crate) const fn new() -> Self {
        Self(AtomicUsize::new(usize::MAX))
    }

    /// Binds the server to the calling thread's processor, and returns the thread's own
    /// affinity for the child: none, and nobody is bound, where there are more
    /// processors than the set holds.
    pub(crate) fn hand_over(&self, processes: &Processes) -> Option<Affinity> {
        let own = sched_getaffinity(None).ok()?;
        let here = sched_getcpu();
        // One that has ended may have left its number to somebody else.
        if self.0.swap(here, Ordering::Relaxed) != here && processes.is_served() {
            let mut set = CpuSet::new();
            set.set(here);
            // Where it may not be bound it is slower, and the child's affinity is right all the same.
            let _ = sched_setaffinity(Some(processes.server.pid), &set);
            if self.0.load(Ordering::Relaxed) != here {
                // Another thread has bound it meanwhile, or is about to: the next one does so in any case.
                self.0.store(usize::MAX, Ordering::Relaxed);
            }
        }
        Some(bytes(&own))
    }
}

/// The set as the system call takes it.
fn bytes(set: &CpuSet) -> Affinity {
    std::array::from_fn(|byte| {
        let is_set = |bit| u8::from(set.is_set(byte * 8 + bit));
        (0..8).fold(0, |bits, bit| bits | is_set(bit) << bit)
    })
}

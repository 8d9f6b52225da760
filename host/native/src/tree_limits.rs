//! Ends trees that use more than they may: what rlimits cannot see.

use std::sync::Arc;
use std::time::Duration;

use crate::entry::Entry;
use crate::limits::Limits;
use crate::registry::Shared;
use crate::status::KillReason;
use crate::usage::{CpuClock, SAMPLE_INTERVAL, Sample};

/// The limits of one tree, and the clock that its time is added up on.
#[derive(Debug)]
pub(crate) struct TreeLimits {
    cpu: Option<Duration>,
    memory_bytes: Option<u64>,
    processes: Option<u64>,
    clock: CpuClock,
}

impl TreeLimits {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            cpu: limits.cpu,
            memory_bytes: limits.memory_bytes,
            processes: limits.processes,
            clock: CpuClock::default(),
        }
    }

    /// Says which limit `group` exceeds in `sample`.
    fn exceeded(&mut self, group: u32, sample: &Sample) -> Option<KillReason> {
        let cpu = self.clock.advance(group, sample);
        if self.cpu.is_some_and(|limit| cpu > limit) {
            return Some(KillReason::CpuTime);
        }
        if self
            .memory_bytes
            .is_some_and(|limit| sample.memory_bytes(group, limit) > limit)
        {
            return Some(KillReason::Memory);
        }
        if self
            .processes
            .is_some_and(|limit| sample.tasks(group) > limit)
        {
            return Some(KillReason::Processes);
        }
        None
    }
}

/// Looks at the running trees for as long as the registry lives. Sleeps without
/// a timer while nothing runs, and passes over children too young to matter.
pub(crate) async fn watch(shared: Arc<Shared>) {
    loop {
        let entries = shared.running_entries();
        if entries.is_empty() {
            shared.started.notified().await;
            continue;
        }
        let grown: Vec<_> = entries
            .into_iter()
            .filter(|(_, entry)| entry.age() >= SAMPLE_INTERVAL)
            .collect();
        if !grown.is_empty() {
            // Reading /proc may take milliseconds: not on the supervisors' thread.
            let look = tokio::task::spawn_blocking(move || look_at(&grown));
            if let Err(error) = look.await {
                tracing::error!(%error, "could not look at the running trees");
            }
        }
        tokio::time::sleep(SAMPLE_INTERVAL).await;
    }
}

fn look_at(running: &[(u32, Arc<Entry>)]) {
    let sample = Sample::take(running.iter().map(|(group, _)| *group));
    for (group, entry) in running {
        let exceeded = entry.tree_limits.lock().exceeded(*group, &sample);
        if let Some(reason) = exceeded {
            entry.kill(reason, Duration::ZERO);
        }
    }
}

//! Waits with a bound, for tasks and for threads that block.
//!
//! By the system's clock a thread blocks on a condition of its own, and needs no timer of the registry's thread. By a virtual
//! clock it waits for a task there: the clock must know that somebody waits, and for how long.

use std::time::Duration;

use super::core::Core;
use crate::child::ending::Phase;
use crate::child::record::Record;

impl Core {
    /// Waits until [`Core::is_idle`] or `timeout` has passed, and returns which.
    pub(super) async fn idle_within(&self, timeout: Duration) -> bool {
        let sleep = self.sleep(timeout);
        tokio::select! {
            biased;
            () = self.idle() => true,
            () = sleep => self.is_idle(),
        }
    }

    /// Blocks the thread until the phase of `record` is as demanded, or `timeout` has passed, and returns it.
    pub(crate) fn block_until(
        &self,
        record: &Record,
        timeout: Option<Duration>,
        is_done: fn(Phase) -> bool,
    ) -> Phase {
        let Some(clock) = self.clock().as_virtual() else {
            return record.block_until(timeout, is_done);
        };
        let mut phase = record.subscribe();
        let sleep = timeout.map(|timeout| self.sleep(timeout));
        let done = async move {
            let done = phase.wait_for(|phase| is_done(*phase));
            match sleep {
                None => drop(done.await),
                Some(sleep) => tokio::select! {
                    biased;
                    _ = done => {}
                    () = sleep => {}
                },
            }
        };
        match clock.block_on(self.handle(), done) {
            Some(()) => record.phase(),
            None => record.block_until(timeout, is_done),
        }
    }
}

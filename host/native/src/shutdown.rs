//! The registry's end, on request.
//!
//! Bounded, because a host that shuts down has a deadline of its own, and safe
//! to repeat, because it may be asked from a signal and from a drop.

use std::time::{Duration, Instant};

use super::{Registry, Shared};

impl Registry {
    /// Kills every child, detached ones too, refuses new ones from now on, and
    /// waits at most `bound` until all are reaped. Returns whether they are.
    /// Blocks the thread; may be called again, and at once from several.
    pub fn shutdown(&self, bound: Duration) -> bool {
        let shared = self.shared();
        shared.close();
        let deadline = Instant::now().checked_add(bound);
        let mut state = shared.state.lock();
        while state.unfinished > 0 {
            match deadline {
                None => shared.idle.wait(&mut state),
                Some(deadline) => {
                    if shared.idle.wait_until(&mut state, deadline).timed_out() {
                        return state.unfinished == 0;
                    }
                }
            }
        }
        true
    }

    /// The same as [`Registry::shutdown`], for async code: does not block the
    /// thread, and needs no particular async runtime. A future that is dropped
    /// has closed the registry and killed all the same, once it was polled.
    pub async fn shutdown_async(&self, bound: Duration) -> bool {
        let shared = self.shared();
        shared.close();
        let sleep = shared.sleep(bound);
        tokio::select! {
            biased;
            () = shared.idle() => true,
            () = sleep => shared.state.lock().unfinished == 0,
        }
    }
}

impl Shared {
    fn close(&self) {
        self.state.lock().closed = true;
        self.kill_all();
    }

    /// Waits until no child is unfinished.
    async fn idle(&self) {
        loop {
            let idle = self.idle_async.notified();
            tokio::pin!(idle);
            // Registered before the look, so that no end falls between them.
            idle.as_mut().enable();
            if self.state.lock().unfinished == 0 {
                return;
            }
            idle.await;
        }
    }
}

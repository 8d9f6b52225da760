//! The registry's end, on request.
//!
//! Bounded, because a host that shuts down has a deadline of its own, and safe
//! to repeat, because it may be requested by a signal and by a drop.

use std::time::Duration;

use super::Registry;

impl Registry {
    /// Kills every child, detached ones too, refuses new ones from now on, and
    /// waits at most `timeout` until all are reaped. Returns whether they are.
    /// Blocks the thread; may be called again, and from several threads at once. The
    /// calling thread keeps the time itself: it returns even if the registry's thread
    /// is held up by the embedder's code.
    pub fn shutdown(&self, timeout: Duration) -> bool {
        let core = self.core();
        core.close();
        core.wait_idle_blocking(timeout)
    }

    /// Does what [`Registry::shutdown`] does, for async code: it does not block the
    /// thread, and needs no particular async runtime. A future that is dropped has
    /// closed the registry and killed its children all the same, once it was polled.
    pub async fn shutdown_async(&self, timeout: Duration) -> bool {
        let core = self.core();
        core.close();
        core.idle_within(timeout).await
    }
}

//! The registry: it limits the children of each owner and of the host, and keeps their
//! results.
//!
//! A slot and the quotas are taken before anything starts, and a request over a cap
//! is refused at once. Rejected: queueing it, because the guest that would free a
//! slot may be the one that waits. An ended entry may be
//! evicted for a new one of its own owner; a running one never is. The table's lock is not held across a launch or the
//! embedder's code.

mod adopted;
mod budget;
pub(crate) mod builder;
mod core;
mod detach;
mod ended;
mod events;
mod heap;
mod held;
mod holdings;
mod key;
mod owners;
mod pump;
mod rate;
mod receipts;
mod reports;
mod sampler;
mod shutdown;
pub(crate) mod supervisor;
mod table;
mod thread;
mod usage;
mod waits;
mod workers;

use std::sync::Arc;

use self::thread::ThreadGuard;
use crate::child::owner::OwnerKey;
use crate::status::Receipt;

pub(crate) use self::core::Core;
pub use self::holdings::{Holdings, HostHoldings};
pub(crate) use self::key::DetachKey;
pub(crate) use self::table::GuestKey;

/// Children of any number of guests, under one set of caps.
///
/// Usually a host process has one registry. A clone shares it and does not create a
/// second one. The registry supervises and reaps the children on a thread of its own
/// and needs no runtime of the caller's. Dropping the last clone kills what is left;
/// every guest and every child holds a clone.
///
/// ```
/// use std::time::Duration;
///
/// use capspawn_native::Registry;
///
/// let registry = Registry::builder()
///     .max_entries(64)
///     .on_event(|event| eprintln!("{event:?}"))
///     .build()?;
/// assert!(registry.is_empty());
/// assert!(registry.shutdown(Duration::from_secs(5)), "nothing runs");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Registry(Arc<ThreadGuard>);

impl Registry {
    fn new(thread: ThreadGuard) -> Self {
        Self(Arc::new(thread))
    }

    /// Returns how many entries there are, running and ended.
    pub fn len(&self) -> usize {
        self.core().len()
    }

    /// Returns whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the receipts of the children of `component` and `tenant` that made room
    /// before their end was observed, oldest first.
    pub fn receipts(&self, component: &str, tenant: &str) -> Vec<Receipt> {
        self.core().receipts(&OwnerKey::new(component, tenant))
    }

    pub(crate) fn core(&self) -> &Arc<Core> {
        self.0.core()
    }
}

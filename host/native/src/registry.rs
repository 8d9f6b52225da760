//! The capped registry: slots, owners, retained results, one thread.
//!
//! A slot and the quotas are taken before anything starts, and a request over a
//! cap is refused at once. It is never queued: the guest that would free the
//! slot may be the one that waits. Room is made by what has ended, never by
//! what runs. No lock is held across a launch or the embedder's code.

pub(crate) mod builder;
mod core;
mod detach;
mod ended;
mod key;
mod pump;
mod sampler;
mod shutdown;
pub(crate) mod supervisor;
mod table;
mod thread;
mod usage;

use std::sync::Arc;

use self::thread::ThreadGuard;
use crate::child::owner::OwnerKey;
use crate::status::Receipt;

pub(crate) use self::core::Core;
pub(crate) use self::key::DetachKey;
pub(crate) use self::table::GuestKey;

/// Children of any number of guests, under one set of caps.
///
/// A value shared by cloning, one per host process as a rule: cloning it does
/// not create a second registry. Children run and are reaped on the registry's
/// own thread; no runtime of the caller's is needed or used. Dropping the last
/// clone (each guest and child holds one) kills what is left.
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

    /// Returns the receipts of `component`'s children (of `tenant`) that ended
    /// and made room before anybody observed them, oldest first.
    pub fn receipts(&self, component: &str, tenant: &str) -> Vec<Receipt> {
        self.core().receipts(&OwnerKey::new(component, tenant))
    }

    pub(crate) fn core(&self) -> &Arc<Core> {
        self.0.core()
    }
}

//! One guest's authority: its grant, its owner and its children.

mod attach;
mod files;
mod permit;
mod spawn;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::approval::Approvals;
use crate::child::info::ChildInfo;
use crate::child::owner::OwnerKey;
use crate::grant::Grant;
use crate::handle::Holder;
use crate::registry::{GuestKey, Registry};
use crate::status::KillReason;

/// One guest of a registry.
///
/// A child belongs to the guest that started it or last attached to it: no other
/// guest reaches it, except through the handle that detached it. Dropping the
/// guest kills what it still runs, also where a handle leaked. A detached child
/// is no longer the guest's own.
#[derive(Debug)]
pub struct Guest(Arc<Member>);

/// What a request needs of its guest. A request on a thread of the registry may outlive the guest, whose
/// entry in the registry lasts until then.
#[derive(Debug)]
struct Member {
    registry: Registry,
    grant: Arc<Grant>,
    key: GuestKey,
    approvals: Approvals,
    /// How many children it has started or attached to.
    children: AtomicU64,
}

impl Registry {
    /// Returns a new guest under `grant`. `tenant` distinguishes owners of one
    /// component where the embedder serves several; it is empty otherwise.
    pub fn guest(&self, grant: Arc<Grant>, tenant: &str) -> Guest {
        let owner = OwnerKey::new(grant.component(), tenant);
        Guest(Arc::new(Member {
            registry: self.clone(),
            grant,
            key: self.core().enter(owner),
            approvals: Approvals::default(),
            children: AtomicU64::new(0),
        }))
    }
}

impl Member {
    /// Returns what the handle of this guest's next child knows of the guest.
    fn holder(&self) -> Holder {
        Holder {
            guest: self.key.scope().0,
            number: self.children.fetch_add(1, Ordering::Relaxed) + 1,
            detach: self.grant.detach(),
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.registry.core().leave(&self.key);
    }
}

impl Guest {
    /// Returns the grant that decides on this guest's requests.
    pub fn grant(&self) -> &Arc<Grant> {
        &self.0.grant
    }

    /// Returns the guest's number in its registry, by which events and the log name it. It is not used again while
    /// the registry lives.
    pub fn id(&self) -> u64 {
        self.0.key.scope().0
    }

    /// Returns the children that run now, detached ones excepted.
    pub fn live(&self) -> Vec<ChildInfo> {
        let running = self.0.registry.core().running_of(&self.0.key);
        running.iter().map(|record| record.info()).collect()
    }

    /// Kills every running child of this guest, detached ones excepted. Returns at
    /// once; the children's handles then report `killed(requested)`.
    pub fn kill_all(&self) {
        let core = self.0.registry.core();
        core.kill_guest(&self.0.key, KillReason::Requested);
    }

    /// Kills every running child of this guest, as dropping the guest does; the
    /// children's handles then report `killed(released)`. For an owner that shares
    /// the guest.
    pub fn release_all(&self) {
        let core = self.0.registry.core();
        core.kill_guest(&self.0.key, KillReason::Released);
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        // Now: a request that has not ended yet keeps the entry.
        self.release_all();
    }
}

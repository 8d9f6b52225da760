//! One guest's authority: its grant, its owner, its total, its children.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::approval::Approvals;
use crate::child::{Child, ChildInfo};
use crate::command::Command;
use crate::entry::Entry;
use crate::error::SpawnError;
use crate::grant::Grant;
use crate::launch::Scope;
use crate::owner::OwnerKey;
use crate::registry::{Registry, attach, spawn, spawn_asking};
use crate::status::KillReason;

/// One guest of a registry.
///
/// Children belong to the guest that started them, or last attached to them:
/// nothing reaches another's, but that the handle through which a child was
/// detached goes on to work. Dropping the guest kills what it still runs, also
/// where a handle leaked; what was detached is not its own any more.
#[derive(Debug)]
pub struct Guest {
    pub(crate) registry: Registry,
    pub(crate) grant: Arc<Grant>,
    pub(crate) owner: OwnerKey,
    pub(crate) scope: Scope,
    /// Children started so far, and being started.
    pub(crate) total: AtomicU64,
    pub(crate) running: Arc<Running>,
    pub(crate) approvals: Approvals,
}

/// The entries of a guest that still run.
pub(crate) type Running = Mutex<std::collections::BTreeMap<u64, Arc<Entry>>>;

impl Guest {
    pub(crate) fn new(registry: Registry, grant: Arc<Grant>, tenant: &str) -> Self {
        let owner = OwnerKey {
            component: grant.component().into(),
            tenant: tenant.into(),
        };
        registry.shared().guest_enters(&owner);
        let scope = registry.shared().next_scope();
        Self {
            registry,
            grant,
            owner,
            scope,
            total: AtomicU64::new(0),
            running: Arc::default(),
            approvals: Approvals::default(),
        }
    }

    /// Returns the grant that decides on this guest's requests.
    pub fn grant(&self) -> &Arc<Grant> {
        &self.grant
    }

    /// Starts a child, and returns as soon as it runs.
    ///
    /// Similar to `posix_spawn` in POSIX, except that nothing is inherited: the
    /// environment and the descriptors are what the grant and `command` say.
    /// The calling thread is blocked until the program executes, about as long
    /// as `posix_spawn` blocks it; a guest's first child of a confinement makes
    /// its session, some milliseconds, and a launcher's first child probes the
    /// host.
    ///
    /// Nobody is asked: where the grant says `ask` this is a denial, also of
    /// what was once allowed for this guest. See [`Guest::spawn_asking`].
    ///
    /// # Errors
    ///
    /// Each [`SpawnError`] says which; on an error nothing runs, and neither a
    /// slot nor a quota but the rate is used up.
    pub fn spawn(&self, command: &Command) -> Result<Child, SpawnError> {
        spawn(self, command)
    }

    /// The same as [`Guest::spawn`], and asks the registry's
    /// [`Approver`](crate::Approver) where the grant says `ask`.
    ///
    /// While the question is open neither a slot nor a quota but the rate is in
    /// use. One question of a guest is open at a time, others wait for their
    /// turn. After the answer the grant decides again, and what it allows then
    /// runs only if it is what was approved. Dropping the future abandons the
    /// question. Needs no particular async runtime.
    ///
    /// # Errors
    ///
    /// As [`Guest::spawn`]; a request that is not approved is
    /// [`SpawnError::Denied`] for its program.
    pub async fn spawn_asking(&self, command: &Command) -> Result<Child, SpawnError> {
        spawn_asking(self, command).await
    }

    /// Takes up a child that a guest of the same owner (component and tenant)
    /// has [detached](Child::detach), in this store or an earlier one.
    ///
    /// The attach uses the key up: of two at once exactly one gets the child.
    /// From then on the child is this guest's as if it had started it, but that
    /// it does not count against `max-total`; its life-time as a detached child
    /// no longer bounds it, its wall clock limit still does. A child that has
    /// ended is taken up too, with its status and captured output. Pipes that
    /// nobody took yet can be taken now.
    ///
    /// # Errors
    ///
    /// [`SpawnError::NoEntry`], and nothing more, for whatever is no key of this
    /// owner's: used up, another owner's, made room for others after its end, or
    /// no key at all.
    pub fn attach(&self, key: &str) -> Result<Child, SpawnError> {
        attach(self, key)
    }

    /// Returns the children that run now, without the detached.
    pub fn live(&self) -> Vec<ChildInfo> {
        self.running
            .lock()
            .values()
            .map(|entry| entry.info())
            .collect()
    }

    /// Kills every child of this guest that still runs; the detached are not its
    /// own. Returns at once; their handles then say `killed(requested)`.
    pub fn kill_all(&self) {
        self.end_all(KillReason::Requested);
    }

    /// Kills every child of this guest that still runs, as dropping it does; their
    /// handles then say `killed(released)`. For an owner that shares the guest.
    pub fn release_all(&self) {
        self.end_all(KillReason::Released);
    }

    fn end_all(&self, reason: KillReason) {
        let running: Vec<_> = self.running.lock().values().cloned().collect();
        for entry in running {
            entry.kill(reason, std::time::Duration::ZERO);
        }
    }

    /// Counts one more child against `max_total`, unless that is reached.
    pub(crate) fn take_total(&self, max_total: u64) -> bool {
        self.total
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |total| {
                (total < max_total).then_some(total + 1)
            })
            .is_ok()
    }

    pub(crate) fn give_back_total(&self) {
        self.total.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.end_all(KillReason::Released);
        self.registry.shared().guest_leaves(&self.owner);
        self.registry.shared().launcher.close(self.scope);
    }
}

//! The capped registry: slots, owners, retained results, one thread.
//!
//! A slot and the quotas are taken before anything starts, and a request over a
//! cap is refused at once. It is never queued: the guest that would free the
//! slot may be the one that waits. Room is made by what has ended, never by
//! what runs. No lock is held across a launch or the embedder's code.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::fmt;
use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant, SystemTime};

use parking_lot::{Condvar, Mutex};
use tokio::runtime::Handle;
use tokio::sync::{Notify, oneshot};

use crate::approval::Oversight;
use crate::capture::RetainedBytes;
use crate::entry::Entry;
use crate::error::Quota;
use crate::event::{Event, EventKind};
use crate::grant::{Grant, Quotas};
use crate::guest::Guest;
use crate::launch::{Launcher, Scope};
use crate::owner::{OwnerKey, OwnerUse};
use crate::status::{ExitStatus, KillReason, Receipt};

pub use builder::RegistryBuilder;
pub(crate) use detached::{attach, detach};
pub(crate) use spawning::{spawn, spawn_asking};

#[path = "registry_builder.rs"]
mod builder;
#[path = "detached.rs"]
mod detached;
#[path = "shutdown.rs"]
mod shutdown;
#[path = "spawn.rs"]
mod spawning;

/// How long a dropped registry's thread goes on to reap what it killed: 5 s.
const LAST_REAPS: Duration = Duration::from_secs(5);

type OnEvent = Arc<dyn Fn(&Event) + Send + Sync>;

/// Runs the supervisors until the registry is dropped, and a little longer.
fn supervise_all(
    handle: &mpsc::SyncSender<io::Result<Handle>>,
    stopped: oneshot::Receiver<Arc<Shared>>,
) {
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = handle.send(Err(error));
            return;
        }
    };
    let _ = handle.send(Ok(runtime.handle().clone()));
    runtime.block_on(async {
        let Ok(shared) = stopped.await else { return };
        let deadline = Instant::now() + LAST_REAPS;
        while shared.kill_all() > 0 && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
}

/// Children of any number of guests, under one set of caps.
///
/// A value shared by cloning, one per host process as a rule: cloning it does
/// not create a second registry. Children run and are reaped on the registry's
/// own thread; no runtime of the caller's is needed or used. Dropping the last
/// clone (each [`Guest`] and child holds one) kills what is left.
#[derive(Debug, Clone)]
pub struct Registry(Arc<Running>);

#[derive(Debug)]
struct Running {
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<Arc<Shared>>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shared.state.lock().closed = true;
        self.shared.kill_all();
        if let Some(stop) = self.stop.take() {
            // An error means that the thread is gone already.
            let _ = stop.send(Arc::clone(&self.shared));
        }
    }
}

impl Registry {
    /// Returns a builder: 1024 entries, 256 MiB of captured output, 1024
    /// receipts, the native launcher, nobody told of events, nobody to ask (so
    /// that `ask` is a denial) or, once set, 60 s for each answer, no veto.
    pub fn builder() -> RegistryBuilder {
        RegistryBuilder::new()
    }

    /// Returns a new guest under `grant`. `tenant` tells owners of one component
    /// apart, where the embedder serves several; empty otherwise.
    pub fn guest(&self, grant: Arc<Grant>, tenant: &str) -> Guest {
        Guest::new(self.clone(), grant, tenant)
    }

    /// Returns how many entries there are, running and ended.
    pub fn len(&self) -> usize {
        self.shared().state.lock().entries.len()
    }

    /// Returns whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the receipts of `component`'s children (of `tenant`) that ended
    /// and made room before anybody looked at them, oldest first.
    pub fn receipts(&self, component: &str, tenant: &str) -> Vec<Receipt> {
        let key = OwnerKey {
            component: component.into(),
            tenant: tenant.into(),
        };
        let state = self.shared().state.lock();
        let of_owner = state.receipts.iter().filter(|(owner, _)| *owner == key);
        of_owner.map(|(_, receipt)| receipt.clone()).collect()
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.0.shared
    }
}

/// What the registry, its handles and its supervisors share.
pub(crate) struct Shared {
    pub(crate) handle: Handle,
    pub(crate) launcher: Arc<dyn Launcher>,
    pub(crate) retained: RetainedBytes,
    /// Where the supervisors' thread reads into.
    pub(crate) scratch: Mutex<Vec<u8>>,
    /// Wakes who looks at running trees.
    pub(crate) started: Notify,
    /// The embedder's say: the approver and the veto.
    pub(crate) oversight: Oversight,
    on_event: Option<OnEvent>,
    max_entries: usize,
    max_receipts: usize,
    next_id: AtomicU64,
    next_scope: AtomicU64,
    state: Mutex<State>,
    /// Signalled when nothing is unfinished.
    idle: Condvar,
    /// The same, for async code.
    idle_async: Notify,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("launcher", &self.launcher)
            .finish_non_exhaustive()
    }
}

#[derive(Default)]
struct State {
    closed: bool,
    entries: HashMap<u64, Arc<Entry>>,
    /// Places taken for children that are being started.
    reserved: usize,
    /// Children that are being started or whose tree is not gone yet.
    unfinished: usize,
    owners: HashMap<OwnerKey, OwnerUse>,
    observed: BTreeSet<u64>,
    unobserved: BTreeSet<u64>,
    receipts: VecDeque<(OwnerKey, Receipt)>,
}

impl State {
    fn owner(&mut self, key: &OwnerKey) -> &mut OwnerUse {
        self.owners.entry(key.clone()).or_default()
    }

    fn forget_unused(&mut self, key: &OwnerKey) {
        if self.owners.get(key).is_some_and(OwnerUse::is_unused) {
            self.owners.remove(key);
        }
    }

    /// The ended entry that goes first: observed before unobserved, the same
    /// owner's before another's, the oldest before later ones.
    fn victim(&self, spawning: Option<&OwnerKey>) -> Option<u64> {
        let own = spawning.and_then(|key| self.owners.get(key));
        own.and_then(|own| own.observed.first())
            .or_else(|| self.observed.first())
            .or_else(|| own.and_then(|own| own.unobserved.first()))
            .or_else(|| self.unobserved.first())
            .copied()
    }
}

impl Shared {
    pub(crate) fn next_scope(&self) -> Scope {
        Scope(self.next_scope.fetch_add(1, Ordering::Relaxed))
    }

    /// Counts one request against the rate, whatever becomes of it.
    fn charge_rate(&self, owner: &OwnerKey, quotas: &Quotas) -> Result<(), Quota> {
        self.state
            .lock()
            .owner(owner)
            .charge_rate(quotas.rate, Instant::now())
    }

    /// Takes a slot and the quotas for one child, the rate excepted.
    fn reserve(&self, owner: &OwnerKey, quotas: &Quotas) -> Result<(), Quota> {
        let mut state = self.state.lock();
        if state.unfinished >= self.max_entries {
            return Err(Quota::HostCapacity);
        }
        state.owner(owner).take_live(quotas.max_live)?;
        if state.entries.len() + state.reserved >= self.max_entries
            && !self.evict(&mut state, Some(owner))
        {
            state.owner(owner).give_back();
            return Err(Quota::HostCapacity);
        }
        state.reserved += 1;
        state.unfinished += 1;
        Ok(())
    }

    /// Gives back what [`Shared::reserve`] took.
    fn unreserve(&self, owner: &OwnerKey) {
        let mut state = self.state.lock();
        state.reserved -= 1;
        state.owner(owner).give_back();
        self.finished(&mut state);
    }

    /// Puts a started child in its slot.
    fn insert(&self, entry: &Arc<Entry>) {
        let mut state = self.state.lock();
        state.reserved -= 1;
        state.entries.insert(entry.id, Arc::clone(entry));
        let closed = state.closed;
        drop(state);
        self.started.notify_one();
        if closed {
            // The shutdown came during the launch and did not see this child.
            entry.kill(KillReason::Host, Duration::ZERO);
        }
    }

    fn finished(&self, state: &mut State) {
        state.unfinished -= 1;
        if state.unfinished == 0 {
            self.idle.notify_all();
            self.idle_async.notify_waiters();
        }
    }

    /// Removes the ended entry that goes first, if there is one.
    fn evict(&self, state: &mut State, spawning: Option<&OwnerKey>) -> bool {
        let victim = state.victim(spawning);
        victim.is_some_and(|id| self.let_go(state, id))
    }

    /// Removes one ended entry, and leaves a receipt where nobody looked at it.
    fn let_go(&self, state: &mut State, id: u64) -> bool {
        let Some(entry) = state.entries.remove(&id) else {
            return false;
        };
        self.forget(state, &entry);
        if !entry.observed.load(Ordering::Acquire)
            && let Some(receipt) = entry.receipt()
        {
            if state.receipts.len() >= self.max_receipts {
                state.receipts.pop_front();
            }
            if self.max_receipts > 0 {
                state.receipts.push_back((entry.owner.clone(), receipt));
            }
        }
        true
    }

    /// Drops what is retained of an entry that was removed.
    fn forget(&self, state: &mut State, entry: &Entry) {
        state.observed.remove(&entry.id);
        state.unobserved.remove(&entry.id);
        let owner = state.owner(&entry.owner);
        owner.observed.remove(&entry.id);
        owner.unobserved.remove(&entry.id);
        owner.revoke(entry.id);
        entry.discard_output(&self.retained);
        state.forget_unused(&entry.owner);
    }

    /// Makes room for output, by the ended, where the bound is reached.
    pub(crate) fn make_room(&self) {
        while self.retained.is_full() && self.evict(&mut self.state.lock(), None) {}
    }

    /// The entries whose tree may still run, by process group.
    pub(crate) fn running_entries(&self) -> Vec<(u32, Arc<Entry>)> {
        let state = self.state.lock();
        let running = state
            .entries
            .values()
            .filter(|entry| !entry.phase().is_complete());
        running
            .filter_map(|entry| Some((entry.group()?, Arc::clone(entry))))
            .collect()
    }

    /// A child's status is about to show.
    pub(crate) fn ended(&self, entry: &Entry) {
        self.state.lock().owner(&entry.owner).ended();
    }

    /// A child's tree is gone and its output complete.
    pub(crate) fn completed(&self, entry: &Arc<Entry>, status: ExitStatus, at: SystemTime) {
        self.emit(&entry.owner.component, &entry.program, &entry.args, || {
            let (stdout, stderr) = (entry.stdout.lock(), entry.stderr.lock());
            EventKind::Exit {
                id: entry.id,
                status,
                seconds: at
                    .duration_since(entry.started_at)
                    .unwrap_or_default()
                    .as_secs_f64(),
                stdout_bytes: stdout.seen(),
                stdout_dropped: stdout.dropped(),
                stderr_bytes: stderr.seen(),
                stderr_dropped: stderr.dropped(),
                confinement: entry.confinement,
            }
        });
        let mut state = self.state.lock();
        state.owner(&entry.owner).completed();
        self.finished(&mut state);
        if entry.is_released() {
            if state.entries.remove(&entry.id).is_some() {
                self.forget(&mut state, entry);
            }
        } else if entry.observed.load(Ordering::Acquire) {
            state.observed.insert(entry.id);
            state.owner(&entry.owner).observed.insert(entry.id);
        } else {
            state.unobserved.insert(entry.id);
            state.owner(&entry.owner).unobserved.insert(entry.id);
        }
    }

    /// Somebody saw how the child ended.
    pub(crate) fn observed(&self, entry: &Entry) {
        let mut state = self.state.lock();
        if state.unobserved.remove(&entry.id) {
            state.observed.insert(entry.id);
            let owner = state.owner(&entry.owner);
            owner.unobserved.remove(&entry.id);
            owner.observed.insert(entry.id);
        }
    }

    /// The handle is gone, or its child given up.
    pub(crate) fn release(&self, entry: &Arc<Entry>) {
        let mut state = self.state.lock();
        // Under the lock: either this sees the completed entry, or the
        // completion sees the release.
        entry.released.store(true, Ordering::Release);
        if let Some(owner) = state.owners.get_mut(&entry.owner) {
            owner.revoke(entry.id);
        }
        let is_over = entry.phase().is_complete() || is_retained(&state, entry.id);
        if is_over && state.entries.remove(&entry.id).is_some() {
            self.forget(&mut state, entry);
        }
    }

    pub(crate) fn guest_enters(&self, owner: &OwnerKey) {
        self.state.lock().owner(owner).guests += 1;
    }

    pub(crate) fn guest_leaves(&self, owner: &OwnerKey) {
        let mut state = self.state.lock();
        state.owner(owner).guests -= 1;
        state.forget_unused(owner);
    }

    /// Kills whatever runs; returns how many children are unfinished.
    fn kill_all(&self) -> usize {
        let state = self.state.lock();
        let unfinished = state.unfinished;
        let entries: Vec<_> = state.entries.values().cloned().collect();
        drop(state);
        for entry in entries {
            if !entry.phase().is_complete() {
                entry.kill(KillReason::Host, Duration::ZERO);
            }
        }
        unfinished
    }

    /// Sleeps on the registry's clock, whatever polls the future.
    pub(crate) fn sleep(&self, duration: Duration) -> tokio::time::Sleep {
        let _entered = self.handle.enter();
        tokio::time::sleep(duration)
    }

    fn emit(
        &self,
        component: &Arc<str>,
        command: &str,
        args: &[String],
        kind: impl FnOnce() -> EventKind,
    ) {
        let event = Event {
            kind: kind(),
            time: SystemTime::now(),
            component: Arc::clone(component),
            command: command.to_owned(),
            args: args.to_vec(),
        };
        tracing::debug!(?event);
        let Some(on_event) = &self.on_event else {
            return;
        };
        // A panic of the embedder's must leave no child without a supervisor.
        let told = panic::catch_unwind(AssertUnwindSafe(|| on_event(&event)));
        if told.is_err() {
            tracing::error!("whoever is told of events panicked");
        }
    }
}

/// Whether the completed entry `id` has its place among the ended.
fn is_retained(state: &State, id: u64) -> bool {
    state.observed.contains(&id) || state.unobserved.contains(&id)
}

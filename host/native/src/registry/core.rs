//! What the registry, its handles and its supervisors share: the table under its
//! lock, and what the embedder set.
//!
//! The lock is not held across a launch or the embedder's code.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use parking_lot::{Condvar, Mutex, MutexGuard};
use tokio::runtime::Handle;
use tokio::sync::Notify;

use super::events::{Events, OnEvent};
use super::heap::HeapReturn;
use super::table::{Caps, Entry, GuestKey, Table};
use super::workers::Workers;
use crate::approval::Hooks;
use crate::child::account::{Need, Totals};
use crate::child::owner::OwnerKey;
use crate::child::record::Record;
use crate::child::usage::TreeName;
use crate::clock::Clock;
use crate::command::Command;
use crate::error::SpawnError;
use crate::event::{EventKind, ReachedLimit};
use crate::grant::Quotas;
use crate::launch::{Launcher, Owner};
use crate::limits::MAX_DETACHED;
use crate::status::{ExitStatus, KillReason, Receipt};

impl Entry for Arc<Record> {
    fn receipt(&self) -> Option<Receipt> {
        Record::receipt(self)
    }

    fn held(&self) -> Need {
        Record::held(self)
    }

    fn discard(&self) {
        Record::discard(self);
    }
}

/// What [`super::RegistryBuilder`] collects.
pub(super) struct Settings {
    pub(super) handle: Handle,
    pub(super) launcher: Arc<dyn Launcher>,
    pub(super) clock: Clock,
    pub(super) hooks: Hooks,
    pub(super) on_event: Option<OnEvent>,
    pub(super) max_entries: usize,
    pub(super) max_receipts: usize,
    pub(super) max_held_bytes: usize,
    pub(super) max_held_descriptors: usize,
    pub(super) return_memory: bool,
}

/// The shared state of a registry.
pub(crate) struct Core {
    handle: Handle,
    launcher: Arc<dyn Launcher>,
    workers: Workers,
    clock: Clock,
    hooks: Hooks,
    events: Events,
    totals: Arc<Totals>,
    heap_return: HeapReturn,
    max_entries: usize,
    /// Where the supervisors, which share a thread, read output into.
    read_buffer: Mutex<Vec<u8>>,
    next_id: AtomicU64,
    table: Mutex<Table<Arc<Record>>>,
    /// A child was inserted: the sampler has something to sample.
    child_started: Notify,
    /// The table became idle.
    idle: Notify,
    /// The same for threads that block. Waiting here needs no timer of the registry's
    /// thread, which the embedder's code may hold up.
    idle_blocking: Condvar,
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core")
            .field("launcher", &self.launcher)
            .finish_non_exhaustive()
    }
}

impl Core {
    pub(super) fn new(settings: Settings) -> Self {
        let caps = Caps {
            entries: settings.max_entries,
            receipts: settings.max_receipts,
            detached: MAX_DETACHED,
        };
        let totals = Totals::new(settings.max_held_bytes, settings.max_held_descriptors);
        Self {
            handle: settings.handle,
            launcher: settings.launcher,
            workers: Workers::default(),
            hooks: settings.hooks,
            events: Events::new(settings.on_event, settings.clock.clone()),
            clock: settings.clock,
            max_entries: settings.max_entries,
            read_buffer: Mutex::default(),
            next_id: AtomicU64::new(1),
            table: Mutex::new(Table::new(caps, Arc::clone(&totals))),
            totals,
            heap_return: HeapReturn::new(settings.return_memory),
            child_started: Notify::new(),
            idle: Notify::new(),
            idle_blocking: Condvar::new(),
        }
    }

    /// The runtime of the registry's thread.
    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }

    pub(crate) fn launcher(&self) -> &dyn Launcher {
        &*self.launcher
    }

    /// Does `work`, which may block, off the caller's thread.
    ///
    /// # Errors
    ///
    /// [`SpawnError::Shortage`] if no thread can be started.
    pub(crate) async fn off_thread<R: Send + 'static>(
        &self,
        work: impl FnOnce() -> R + Send + 'static,
    ) -> Result<R, SpawnError> {
        // No clock sees what these threads do.
        let _hold = self.clock.hold();
        self.workers.run(work).await
    }

    /// Where all deadlines come from.
    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The embedder's approver and veto.
    pub(crate) fn hooks(&self) -> &Hooks {
        &self.hooks
    }

    /// What the host holds for all owners.
    pub(super) fn totals(&self) -> &Totals {
        &self.totals
    }

    /// The bound on entries.
    pub(super) fn max_entries(&self) -> usize {
        self.max_entries
    }

    /// The supervisors' buffer for one read.
    pub(super) fn read_buffer(&self) -> MutexGuard<'_, Vec<u8>> {
        self.read_buffer.lock()
    }

    /// Returns a number that no child of this registry has had. Not from the table: the
    /// record has its number before the table has the record.
    pub(crate) fn next_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    /// Returns how many numbers [`Core::next_id`] has returned.
    pub(super) fn launches(&self) -> u64 {
        self.next_id.load(Ordering::Relaxed)
    }

    /// Returns how many entries there are, running and ended.
    pub(super) fn len(&self) -> usize {
        self.table.lock().len()
    }

    pub(super) fn receipts(&self, owner: &OwnerKey) -> Vec<Receipt> {
        self.table.lock().receipts(owner)
    }

    /// Adds a guest of `owner`.
    pub(crate) fn enter(&self, owner: OwnerKey) -> GuestKey {
        let guest = self.table.lock().enter(owner, self.clock.now());
        let owner = Owner {
            component: guest.owner().component(),
            tenant: guest.owner().tenant(),
        };
        self.launcher.open(guest.scope(), owner);
        guest
    }

    /// Kills what `guest` still runs, and removes the guest.
    pub(crate) fn leave(&self, guest: &GuestKey) {
        self.kill_guest(guest, KillReason::Released);
        self.table.lock().leave(guest);
        self.events.leave(guest.owner(), guest.scope().0);
        self.launcher.close(guest.scope());
    }

    /// Returns the running children that end with `guest`, oldest first.
    pub(crate) fn running_of(&self, guest: &GuestKey) -> Vec<Arc<Record>> {
        self.table.lock().running_of(guest)
    }

    /// Kills the running children that end with `guest`.
    pub(crate) fn kill_guest(&self, guest: &GuestKey, reason: KillReason) {
        for record in self.running_of(guest) {
            record.kill(reason, Duration::ZERO);
        }
    }

    /// Takes the quotas of one child; the rate is charged even where the request is refused.
    /// [`Core::cancel`] gives the rest back where nothing starts.
    pub(crate) fn admit(&self, guest: &GuestKey, quotas: &Quotas) -> Result<(), SpawnError> {
        let admitted = self.table.lock().admit(guest, quotas, self.clock.now());
        Ok(admitted?)
    }

    /// Charges the rate alone, for a request that is refused before it needs a place.
    pub(crate) fn charge_rate(&self, guest: &GuestKey, quotas: &Quotas) -> Result<(), SpawnError> {
        let mut table = self.table.lock();
        Ok(table.charge_rate(guest, quotas, self.clock.now())?)
    }

    /// Does what [`Core::admit`] does for a request whose rate is charged already.
    pub(crate) fn readmit(&self, guest: &GuestKey, quotas: &Quotas) -> Result<(), SpawnError> {
        Ok(self.table.lock().readmit(guest, quotas)?)
    }

    /// Gives back what [`Core::admit`] took.
    pub(crate) fn cancel(&self, guest: &GuestKey) {
        let mut table = self.table.lock();
        table.cancel(guest);
        let is_idle = table.is_idle();
        drop(table);
        self.notify_if(is_idle);
    }

    /// Puts a started child in the place that was taken for it.
    pub(crate) fn insert(&self, guest: &GuestKey, record: &Arc<Record>) {
        let closed = self
            .table
            .lock()
            .insert(record.id(), guest, Arc::clone(record));
        self.child_started.notify_one();
        if closed {
            // The shutdown came during the launch and did not see this child.
            record.kill(KillReason::Host, Duration::ZERO);
        }
    }

    /// The child has ended; its status is shown after this.
    pub(super) fn end(&self, record: &Record) {
        self.table.lock().end(record.id());
    }

    /// The child's tree is gone and its output complete.
    pub(super) fn complete(self: &Arc<Self>, record: &Record, status: ExitStatus, at: SystemTime) {
        record.settle();
        if !record.observations().is_empty() {
            self.emit_of(record, || EventKind::Observed {
                id: record.id(),
                observations: record.observations().to_vec(),
            });
        }
        self.emit_of(record, || exit_event(record, status, at));
        let mut table = self.table.lock();
        let removed = table.complete(record.id());
        let is_idle = table.is_idle();
        drop(table);
        self.discard(removed);
        self.heap_return.request(&self.handle, &self.totals);
        self.notify_if(is_idle);
    }

    /// Somebody has seen how the child ended.
    pub(crate) fn observe(&self, record: &Record) {
        self.table.lock().observe(record.id());
    }

    /// The child's handle is gone.
    pub(crate) fn release(self: &Arc<Self>, record: &Record) {
        let removed = self.table.lock().release(record.id());
        self.discard(removed);
        self.heap_return.request(&self.handle, &self.totals);
    }

    /// Runs `verb` on the table.
    pub(super) fn with_table<R>(&self, verb: impl FnOnce(&mut Table<Arc<Record>>) -> R) -> R {
        verb(&mut self.table.lock())
    }

    /// Drops what is held for an entry that left the table.
    pub(super) fn discard(&self, removed: Option<Arc<Record>>) {
        if let Some(record) = removed {
            record.discard();
        }
    }

    /// Returns the children whose tree may still run, each with what names its tree.
    pub(super) fn running(&self) -> Vec<(TreeName, Arc<Record>)> {
        let records = self.table.lock().unfinished();
        let with_name = |record: Arc<Record>| Some((record.tree_name()?, record));
        records.into_iter().filter_map(with_name).collect()
    }

    /// Waits until a child was inserted.
    pub(super) async fn child_started(&self) {
        self.child_started.notified().await;
    }

    /// Refuses children from now on, and kills those that run.
    pub(super) fn close(&self) {
        let mut table = self.table.lock();
        table.close();
        let records = table.unfinished();
        drop(table);
        for record in records {
            record.kill(KillReason::Host, Duration::ZERO);
        }
    }

    /// Returns whether no child is being started and every tree is gone.
    pub(super) fn is_idle(&self) -> bool {
        self.table.lock().is_idle()
    }

    /// Waits until [`Core::is_idle`].
    pub(super) async fn idle(&self) {
        loop {
            let idle = self.idle.notified();
            tokio::pin!(idle);
            // Registered before the check, so that no end falls between the two.
            idle.as_mut().enable();
            if self.is_idle() {
                return;
            }
            idle.await;
        }
    }

    /// Blocks the thread until [`Core::is_idle`] or `timeout` has passed, and returns
    /// which.
    pub(super) fn wait_idle_blocking(self: &Arc<Self>, timeout: Duration) -> bool {
        if let Some(clock) = self.clock.as_virtual() {
            let core = Arc::clone(self);
            let idle = async move { core.idle_within(timeout).await };
            if let Some(is_idle) = clock.block_on(&self.handle, idle) {
                return is_idle;
            }
        }
        let deadline = Instant::now().checked_add(timeout);
        let mut table = self.table.lock();
        while !table.is_idle() {
            match deadline {
                None => self.idle_blocking.wait(&mut table),
                Some(deadline) => {
                    if self
                        .idle_blocking
                        .wait_until(&mut table, deadline)
                        .timed_out()
                    {
                        return table.is_idle();
                    }
                }
            }
        }
        true
    }

    fn notify_if(&self, is_idle: bool) {
        if is_idle {
            self.idle.notify_waiters();
            self.idle_blocking.notify_all();
        }
    }

    /// Sleeps on the registry's clock, whatever polls the future.
    pub(crate) fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send + use<> {
        let _entered = self.handle.enter();
        self.clock.sleep(duration)
    }

    /// Emits an event about `record`'s child.
    pub(crate) fn emit_of(&self, record: &Record, kind: impl FnOnce() -> EventKind) {
        let (owner, guest) = (record.owner(), record.guest().0);
        self.events.emit(owner, guest, || record.request(), kind);
    }

    /// Emits an event about an operation on `record`'s child, within its owner's budget.
    pub(crate) fn emit_routine_of(&self, record: &Record, kind: impl FnOnce() -> EventKind) {
        let (owner, guest) = (record.owner(), record.guest().0);
        self.events
            .emit_routine(owner, guest, || record.request(), kind);
    }

    /// Emits an event about an operation on `record`'s child that was refused.
    pub(super) fn emit_refusal_of(&self, record: &Record, error: &SpawnError) {
        let (owner, guest) = (record.owner(), record.guest().0);
        let kind = || EventKind::refused(error);
        self.events
            .emit_refusal(owner, guest, || record.request(), kind);
    }

    /// Emits an event about a request of `guest`.
    pub(crate) fn emit(
        &self,
        guest: &GuestKey,
        command: &Command,
        kind: impl FnOnce() -> EventKind,
    ) {
        let (owner, guest) = (guest.owner(), guest.scope().0);
        self.events.emit(owner, guest, || command.request(), kind);
    }

    /// Emits an event about a request of `guest`, within its owner's budget.
    pub(crate) fn emit_routine(
        &self,
        guest: &GuestKey,
        command: &Command,
        kind: impl FnOnce() -> EventKind,
    ) {
        let (owner, guest) = (guest.owner(), guest.scope().0);
        self.events
            .emit_routine(owner, guest, || command.request(), kind);
    }

    /// Emits an event about a request of `guest` that started nothing.
    pub(crate) fn emit_refusal(&self, guest: &GuestKey, command: &Command, error: &SpawnError) {
        let (owner, guest) = (guest.owner(), guest.scope().0);
        let kind = || EventKind::refused(error);
        self.events
            .emit_refusal(owner, guest, || command.request(), kind);
    }
}

fn exit_event(record: &Record, status: ExitStatus, at: SystemTime) -> EventKind {
    let (stdout, stderr) = (record.stdout().lock(), record.stderr().lock());
    EventKind::Exit {
        id: record.id(),
        status,
        signal: record.end_signal().get().copied(),
        seconds: at
            .duration_since(record.started_at())
            .unwrap_or_default()
            .as_secs_f64(),
        stdout_bytes: stdout.seen(),
        stdout_dropped: stdout.dropped(),
        stderr_bytes: stderr.seen(),
        stderr_dropped: stderr.dropped(),
        usage: record.usage(),
        confinement: record.confinement(),
        limit: match status {
            ExitStatus::Killed(reason) => ReachedLimit::of(reason, record.limits()),
            ExitStatus::Exited(_) | ExitStatus::Signaled(_) => None,
        },
        reason: record.reason().map(str::to_owned),
    }
}

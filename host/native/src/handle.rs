//! The handle of a child.
//!
//! A [`Child`] owns its slot: dropping the handle kills what still runs. The drop
//! takes a few system calls and never blocks, panics or needs an async runtime,
//! because it runs wherever an embedder drops its store.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;

use crate::child::account::HeldFd;
use crate::child::capture::{Capture, Captured};
use crate::child::ending::Phase;
use crate::child::info::ChildInfo;
use crate::child::pipe::{PipeReader, PipeWriter};
use crate::child::record::Record;
use crate::error::SpawnError;
use crate::grant::Detach;
use crate::launch::TreeUsage;
use crate::limits::RELEASE_TIMEOUT;
use crate::registry::{DetachKey, Registry};
use crate::status::{ExitStatus, KillReason, Signal};
use crate::streams::{PassedEnd, PassedReader, PassedWriter};

/// A child process, and its slot in the registry.
///
/// Dropping the handle releases the slot: what still runs of the child's tree is
/// killed at once and reaped in the background, and the captured output is
/// discarded. Dropping the handle of a [detached](Child::detach) child ends nothing.
///
/// ```
/// use std::time::Duration;
///
/// use capspawn_native::grant::Grants;
/// use capspawn_native::{Command, ExitStatus, KillReason, Registry};
///
/// let grants = Grants::from_toml_str(
///     r#"
///     version = 1
///     [[component."timer".command]]
///     name = "sleep"
///     program = "/bin/sleep"
///     args = [{ int = [0, 3600] }]
///     sandbox = "none"    # written out: this child is not confined
///     "#,
///     "/".as_ref(),
/// )?;
/// let registry = Registry::builder().build()?;
/// let guest = registry.guest(grants.component("timer"), "");
///
/// let child = guest.spawn(&Command::new("sleep").arg("3600"))?;
/// assert_eq!(child.poll(), None);
/// child.kill(Duration::ZERO);
/// let killed = ExitStatus::Killed(KillReason::Requested);
/// assert_eq!(child.wait_blocking(None), Some(killed));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Child {
    record: Arc<Record>,
    registry: Registry,
    holder: Holder,
    /// The key, if this handle has detached the child.
    key: Mutex<Option<DetachKey>>,
    /// The registry knows that this handle has observed the end.
    observed: AtomicBool,
}

/// The guest that holds a child, as far as its handle must know it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Holder {
    /// The number of the guest's scope.
    pub(crate) guest: u64,
    /// The child's number among those of the guest.
    pub(crate) number: u64,
    /// Whether and for how long the grant lets the child outlive the guest.
    pub(crate) detach: Detach,
}

impl Child {
    pub(crate) fn new(record: Arc<Record>, registry: Registry, holder: Holder) -> Self {
        Self {
            record,
            registry,
            holder,
            key: Mutex::default(),
            observed: AtomicBool::new(false),
        }
    }

    /// Returns the child's number, unique in its registry; not a process id.
    pub fn id(&self) -> u64 {
        self.record.id()
    }

    /// Returns the child's number among those of its guest: 1 for the first that the guest started
    /// or attached to. Unlike [`Child::id`] it tells a guest nothing about the others.
    pub fn number(&self) -> u64 {
        self.holder.number
    }

    /// Returns what the child is, without its output.
    pub fn info(&self) -> ChildInfo {
        self.record.info()
    }

    /// Returns what the child's tree has used so far, as far as it was measured; the last
    /// figures once [`Child::output`] returns. A child that ended before it was sampled has no
    /// peaks, unless its launcher counts them. Similar to `getrusage` with `RUSAGE_CHILDREN`.
    pub fn usage(&self) -> TreeUsage {
        self.record.usage()
    }

    /// Returns how the child ended, or none while it runs. Never blocks; once it
    /// returns a status it always returns the same one. Similar to `waitid` with
    /// `WNOHANG | WNOWAIT`.
    pub fn poll(&self) -> Option<ExitStatus> {
        self.seen(self.record.phase())
    }

    /// Returns the number of the signal that has ended the child, whoever sent it; none while
    /// the child runs, where it exited by itself, and where its status was lost. Similar to
    /// `WTERMSIG`.
    pub fn end_signal(&self) -> Option<u8> {
        self.waiter().end_signal()
    }

    /// Returns a waiter, which may outlive the handle.
    pub fn waiter(&self) -> Waiter {
        Waiter {
            phase: self.record.subscribe(),
            end_signal: Arc::clone(self.record.end_signal()),
        }
    }

    /// Waits until the child has ended or `timeout` has passed. After a timeout it
    /// returns none, and the child keeps running. `Some(ZERO)` checks once, `None`
    /// waits without a bound. Dropping the future loses nothing, and any number of
    /// callers may wait at once.
    ///
    /// Needs no particular async runtime: the registry has the timer.
    pub async fn wait(&self, timeout: Option<Duration>) -> Option<ExitStatus> {
        self.ended_within(timeout).await;
        self.poll()
    }

    /// Waits like [`Child::wait`], for a caller that cannot borrow the handle
    /// meanwhile; [`Child::poll`] then returns the status.
    pub fn ended_within(
        &self,
        timeout: Option<Duration>,
    ) -> impl Future<Output = ()> + Send + use<> {
        let mut waiter = self.waiter();
        // The smallest timer takes a millisecond.
        let is_due = timeout.is_some_and(|timeout| timeout.is_zero()) || waiter.has_ended();
        let timer = timeout.filter(|_| !is_due);
        let sleep = timer.map(|timeout| self.registry.core().sleep(timeout));
        async move {
            if is_due {
                return;
            }
            let Some(sleep) = sleep else {
                waiter.ended().await;
                return;
            };
            tokio::select! {
                biased;
                _ = waiter.ended() => {}
                () = sleep => {}
            }
        }
    }

    /// Does what [`Child::wait`] does, for code that is not async: it blocks the
    /// calling thread.
    pub fn wait_blocking(&self, timeout: Option<Duration>) -> Option<ExitStatus> {
        let ended = |phase: Phase| phase.ended().is_some();
        let core = self.registry.core();
        self.seen(core.block_until(&self.record, timeout, ended))
    }

    /// Waits until the child has ended and its output is complete, and returns the
    /// captured output. It takes at most [`DRAIN_GRACE`](crate::limits::DRAIN_GRACE)
    /// longer than [`Child::wait`]: a process that keeps the pipes open beyond that
    /// is killed.
    pub async fn output(&self) -> (ExitStatus, Captured, Captured) {
        let status = self.waiter().completed().await;
        self.seen(self.record.phase());
        let (stdout, stderr) = self.captured(0, 0);
        (status, stdout, stderr)
    }

    /// Sends `signal` to the child only, not to its tree; it does nothing once the
    /// child has ended. A child that ends by the signal is reported as
    /// `killed(requested)`.
    pub fn signal(&self, signal: Signal) {
        self.record.signal(signal);
    }

    /// Sends `signal` to the child and to everything that it started, as [`Child::signal`] does to
    /// the child alone. Similar to `killpg`, but a process that has left the group is reached too
    /// where the confinement names it.
    pub fn signal_tree(&self, signal: Signal) {
        self.record.signal_tree(signal);
    }

    /// Sends `SIGTERM` to the child and everything that it started, resumes what is stopped
    /// (`SIGCONT`), and kills after `grace` what still runs; a grace of zero kills at once. Returns
    /// immediately, and does nothing once the child has ended.
    pub fn kill(&self, grace: Duration) {
        self.record.kill(KillReason::Requested, grace);
    }

    /// Returns the output captured so far, from these byte offsets on. It is gone, and counts as
    /// dropped, once the child has ended and made room for others of its owner.
    pub fn captured(&self, stdout_offset: u64, stderr_offset: u64) -> (Captured, Captured) {
        self.record.captured(stdout_offset, stderr_offset)
    }

    /// Takes the writing end of standard input. It can be taken once, and only where
    /// the command has [`Stdin::Piped`](crate::Stdin::Piped).
    ///
    /// The stream is registered with the caller's async runtime where there is one,
    /// else with the registry's, and stays usable when this handle is gone.
    ///
    /// # Errors
    ///
    /// The pipe cannot be registered with the runtime; it is then closed.
    pub fn take_stdin(&self) -> io::Result<Option<PipeWriter>> {
        let taken = self.record.take_stdin();
        taken
            .map(|fd| PipeWriter::new(fd, self.registry.core().handle()))
            .transpose()
    }

    /// Takes the reading end of standard output, like [`Child::take_stdin`].
    ///
    /// # Errors
    ///
    /// As [`Child::take_stdin`].
    pub fn take_stdout(&self) -> io::Result<Option<PipeReader>> {
        let taken = self.record.take_stdout();
        self.reader(taken, Record::stdout)
    }

    /// Takes the reading end of standard error, like [`Child::take_stdin`].
    ///
    /// # Errors
    ///
    /// As [`Child::take_stdin`].
    pub fn take_stderr(&self) -> io::Result<Option<PipeReader>> {
        let taken = self.record.take_stderr();
        self.reader(taken, Record::stderr)
    }

    /// Takes the writing end of standard input for another child of the same guest, which then
    /// writes into it without the host. It can be taken or passed once, and only where the command
    /// has [`Stdin::Piped`](crate::Stdin::Piped).
    ///
    /// # Errors
    ///
    /// The flags of the pipe cannot be changed; it is closed then.
    pub fn pass_stdin(&self) -> io::Result<Option<PassedWriter>> {
        let passed = self.pass(self.record.take_stdin())?;
        Ok(passed.map(PassedWriter))
    }

    /// Takes the reading end of standard output for another child of the same guest, like
    /// [`Child::pass_stdin`]. What that child reads does not count as output of this one.
    ///
    /// # Errors
    ///
    /// As [`Child::pass_stdin`].
    pub fn pass_stdout(&self) -> io::Result<Option<PassedReader>> {
        let passed = self.pass(self.record.take_stdout())?;
        Ok(passed.map(PassedReader))
    }

    /// Takes the reading end of standard error, like [`Child::pass_stdout`].
    ///
    /// # Errors
    ///
    /// As [`Child::pass_stdin`].
    pub fn pass_stderr(&self) -> io::Result<Option<PassedReader>> {
        let passed = self.pass(self.record.take_stderr())?;
        Ok(passed.map(PassedReader))
    }

    fn pass(&self, taken: Option<Arc<HeldFd>>) -> io::Result<Option<PassedEnd>> {
        let guest = self.holder.guest;
        taken.map(|fd| PassedEnd::new(guest, fd)).transpose()
    }

    /// Makes the reader of a taken pipe, whose reads count as output of the child.
    fn reader(
        &self,
        taken: Option<Arc<HeldFd>>,
        capture: fn(&Record) -> &Mutex<Capture>,
    ) -> io::Result<Option<PipeReader>> {
        let Some(fd) = taken else { return Ok(None) };
        let record = Arc::downgrade(&self.record);
        let passed = move |bytes| {
            if let Some(record) = record.upgrade() {
                capture(&record).lock().pass(bytes);
                record.count_output(bytes);
            }
        };
        PipeReader::new(fd, passed, self.registry.core().handle()).map(Some)
    }

    /// Leaves the child to the registry, and returns the key with which a guest
    /// of the same owner (component and tenant) can [attach](crate::Guest::attach) to it.
    ///
    /// Dropping this handle or its guest then no longer ends the child. It ends at its
    /// wall clock limit, after the grant's `detach.max-life` if nobody attaches before
    /// (as `killed(lifetime)`), or with the registry. Until then it counts as a live
    /// child of its owner, and its output is captured as before. Pipes that were taken
    /// stay with the streams that took them; the others stay in the registry, and a
    /// child that fills one blocks.
    ///
    /// The handle still works. [`Child::release`] ends the child and the key. A second
    /// detach returns the same key until that key is used; the guest that has attached
    /// by then detaches with a new key.
    ///
    /// # Errors
    ///
    /// In every case the child still belongs to this handle: [`SpawnError::Denied`]
    /// where the grant does not allow it, [`SpawnError::Quota`] where
    /// [`MAX_DETACHED`](crate::limits::MAX_DETACHED) of the owner run detached
    /// already, [`SpawnError::NoEntry`] where the child has ended and made room
    /// for others, or where its key was used.
    pub fn detach(&self) -> Result<String, SpawnError> {
        let core = self.registry.core();
        let key = core.detach(&self.record, self.holder.detach, &self.key)?;
        Ok(key.to_string())
    }

    /// Gives the slot back and returns how the child ended: kills it if it still
    /// runs, and waits at most [`RELEASE_TIMEOUT`] until it is reaped.
    pub async fn release(mut self) -> ExitStatus {
        *self.key.get_mut() = None;
        self.record.kill(KillReason::Released, Duration::ZERO);
        let mut waiter = self.waiter();
        let sleep = self.registry.core().sleep(RELEASE_TIMEOUT);
        tokio::select! {
            biased;
            _ = waiter.completed() => {}
            () = sleep => {}
        }
        self.poll()
            .unwrap_or(ExitStatus::Killed(KillReason::Released))
    }

    /// Does what [`Child::release`] does, for code that is not async: it blocks the
    /// calling thread.
    pub fn release_blocking(mut self) -> ExitStatus {
        *self.key.get_mut() = None;
        self.record.kill(KillReason::Released, Duration::ZERO);
        let core = self.registry.core();
        core.block_until(&self.record, Some(RELEASE_TIMEOUT), Phase::is_complete);
        self.poll()
            .unwrap_or(ExitStatus::Killed(KillReason::Released))
    }

    fn seen(&self, phase: Phase) -> Option<ExitStatus> {
        let (status, _) = phase.ended()?;
        if !self.observed.load(Ordering::Acquire) {
            // Before the flag: another thread that sees it may rely on the registry.
            self.registry.core().observe(&self.record);
            self.observed.store(true, Ordering::Release);
        }
        Some(status)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.key.get_mut().is_some() {
            return;
        }
        self.record.kill(KillReason::Released, Duration::ZERO);
        self.registry.core().release(&self.record);
    }
}

/// Waits for a child's end without owning the child.
#[derive(Debug, Clone)]
pub struct Waiter {
    phase: watch::Receiver<Phase>,
    end_signal: Arc<OnceLock<u8>>,
}

impl Waiter {
    /// Waits until the child has ended, and returns its status; from then on it returns
    /// at once. Dropping the future loses nothing.
    pub async fn ended(&mut self) -> ExitStatus {
        self.until(|phase| phase.ended().is_some()).await
    }

    /// Waits until the child has ended, its tree is gone and its output complete.
    pub async fn completed(&mut self) -> ExitStatus {
        self.until(|phase| phase.is_complete()).await
    }

    fn has_ended(&self) -> bool {
        self.phase.borrow().ended().is_some()
    }

    /// Returns what [`Child::end_signal`] returns.
    pub fn end_signal(&self) -> Option<u8> {
        self.phase.borrow().ended()?;
        self.end_signal.get().copied()
    }

    async fn until(&mut self, done: fn(&Phase) -> bool) -> ExitStatus {
        // The sender lives as long as the record, which outlives its child's completion.
        let reached = self.phase.wait_for(done).await.map(|phase| *phase);
        let phase = reached.unwrap_or_else(|_| *self.phase.borrow());
        phase
            .ended()
            .map_or(ExitStatus::Killed(KillReason::Host), |(status, _)| status)
    }
}

//! One child's record, shared by its handle, the registry and its supervisor.
//!
//! The status is written once and never changes. Signals go out only while the
//! leader is unreaped: [`Entry::with_process`] and the reap exclude each other, so
//! that no signal reaches a stranger who got the process id later.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use parking_lot::{Condvar, Mutex};
use tokio::sync::{Notify, watch};

use crate::capture::{Capture, Captured, RetainedBytes};
use crate::child::ChildInfo;
use crate::holder::Holder;
use crate::launch::{Exit, Process};
use crate::limits::Limits;
use crate::owner::OwnerKey;
use crate::status::{ExitStatus, KillReason, Receipt, Signal};
use crate::stream::Untaken;
use crate::tree_limits::TreeLimits;

/// The signal of `RLIMIT_CPU`.
const SIGXCPU: u8 = 24;
/// The signal of `RLIMIT_FSIZE`.
const SIGXFSZ: u8 = 25;

/// Where a child is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Running,
    /// The leader has ended; its pipes may still deliver.
    Ended(ExitStatus, SystemTime),
    /// The tree is dead, the leader reaped, the pipes closed.
    Complete(ExitStatus, SystemTime),
}

impl Phase {
    pub(crate) fn ended(self) -> Option<(ExitStatus, SystemTime)> {
        match self {
            Self::Running => None,
            Self::Ended(status, at) | Self::Complete(status, at) => Some((status, at)),
        }
    }

    pub(crate) fn is_complete(self) -> bool {
        matches!(self, Self::Complete(..))
    }
}

/// What the host has done to end a child.
#[derive(Debug, Default)]
struct Ending {
    /// Why each signal was sent first, by its number.
    sent: [Option<KillReason>; 32],
    /// When a polite request turns into a kill, and why.
    kill_at: Option<(Instant, KillReason)>,
    /// When a detached child has lived for as long as it may.
    lifetime_at: Option<Instant>,
}

#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) id: u64,
    pub(crate) owner: OwnerKey,
    pub(crate) program: String,
    pub(crate) args: Vec<String>,
    pub(crate) disclosed_pid: Option<u32>,
    pub(crate) confinement: &'static str,
    pub(crate) started_at: SystemTime,
    pub(crate) tree_limits: Mutex<TreeLimits>,
    started: Instant,
    deadline: Instant,
    /// A limit on processor time is in force.
    cpu_limited: bool,
    /// A limit on file sizes is in force.
    file_size_limited: bool,
    pub(crate) stdout: Mutex<Capture>,
    pub(crate) stderr: Mutex<Capture>,
    /// Bytes of output that were read, captured or piped, and how many may be.
    output_bytes: AtomicU64,
    max_output_bytes: Option<u64>,
    /// Pipes that the guest has not taken yet.
    pub(crate) untaken: Mutex<Untaken>,
    /// Tells the supervisor to look at its deadlines again.
    pub(crate) wake: Notify,
    /// The handle is gone: nothing is retained past the end.
    pub(crate) released: AtomicBool,
    /// The guest whose child it is while it runs.
    pub(crate) holder: Holder,
    pub(crate) observed: AtomicBool,
    ending: Mutex<Ending>,
    process: Mutex<Option<Arc<dyn Process>>>,
    phase: watch::Sender<Phase>,
    blocking: (Mutex<()>, Condvar),
}

/// What an entry is made of at its start.
pub(crate) struct Start {
    pub(crate) id: u64,
    pub(crate) owner: OwnerKey,
    pub(crate) program: String,
    pub(crate) args: Vec<String>,
    pub(crate) disclose_pid: bool,
    pub(crate) confinement: &'static str,
    pub(crate) limits: Limits,
    pub(crate) stdout: Capture,
    pub(crate) stderr: Capture,
    pub(crate) untaken: Untaken,
    pub(crate) process: Arc<dyn Process>,
}

impl Entry {
    pub(crate) fn new(start: Start) -> Self {
        let now = Instant::now();
        Self {
            id: start.id,
            owner: start.owner,
            program: start.program,
            args: start.args,
            disclosed_pid: start.disclose_pid.then(|| start.process.pid()),
            confinement: start.confinement,
            started_at: SystemTime::now(),
            tree_limits: Mutex::new(TreeLimits::new(&start.limits)),
            started: now,
            deadline: now.checked_add(start.limits.wall).unwrap_or(now + FAR),
            cpu_limited: start.limits.cpu.is_some(),
            file_size_limited: start.limits.file_size_bytes.is_some(),
            stdout: Mutex::new(start.stdout),
            stderr: Mutex::new(start.stderr),
            output_bytes: AtomicU64::new(0),
            max_output_bytes: start.limits.output_bytes,
            untaken: Mutex::new(start.untaken),
            wake: Notify::new(),
            released: AtomicBool::new(false),
            holder: Holder::default(),
            observed: AtomicBool::new(false),
            ending: Mutex::default(),
            process: Mutex::new(Some(start.process)),
            phase: watch::Sender::new(Phase::Running),
            blocking: (Mutex::new(()), Condvar::new()),
        }
    }

    pub(crate) fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<Phase> {
        self.phase.subscribe()
    }

    /// Moves on to `next`, unless the status is already another.
    pub(crate) fn advance(&self, next: Phase) {
        self.phase.send_if_modified(|phase| {
            let allowed = match (*phase, next) {
                (Phase::Running, Phase::Ended(..)) => true,
                (Phase::Ended(old, _), Phase::Complete(new, _)) => old == new,
                _ => false,
            };
            if allowed {
                *phase = next;
            }
            allowed
        });
        let _guard = self.blocking.0.lock();
        self.blocking.1.notify_all();
    }

    /// Blocks the thread until `done` says so of the phase or `timeout` passed.
    pub(crate) fn block_until(&self, timeout: Option<Duration>, done: fn(Phase) -> bool) -> Phase {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let (mutex, condvar) = &self.blocking;
        let mut guard = mutex.lock();
        loop {
            let phase = self.phase();
            if done(phase) {
                return phase;
            }
            match deadline {
                None => condvar.wait(&mut guard),
                Some(deadline) => {
                    if condvar.wait_until(&mut guard, deadline).timed_out() {
                        return self.phase();
                    }
                }
            }
        }
    }

    /// How long ago it was started.
    pub(crate) fn age(&self) -> Duration {
        self.started.elapsed()
    }

    /// The process group, until it is reaped.
    pub(crate) fn group(&self) -> Option<u32> {
        self.with_process(|process| process.pid())
    }

    /// Runs `use_it` on the process, unless it has been reaped.
    fn with_process<R>(&self, use_it: impl FnOnce(&dyn Process) -> R) -> Option<R> {
        self.process.lock().as_deref().map(use_it)
    }

    /// Kills what is left of the tree, then reaps the leader. After it no
    /// signal is sent.
    pub(crate) fn kill_tree_and_reap(&self) {
        // Whoever signals does so before or not at all: the rest need not keep anybody waiting.
        let process = self.process.lock().take();
        if let Some(process) = process {
            if let Err(error) = process.signal_tree(Signal::Kill) {
                tracing::warn!(child = self.id, %error, "could not kill the rest of the tree");
            }
            if let Err(error) = process.reap() {
                tracing::warn!(child = self.id, %error, "could not reap");
            }
        }
    }

    /// Sends `signal` to the leader.
    pub(crate) fn signal(&self, signal: Signal) {
        self.record(signal, KillReason::Requested);
        self.deliver(signal, false);
    }

    /// Ends the tree: asks first where there is a `grace`.
    pub(crate) fn kill(&self, reason: KillReason, grace: Duration) {
        if grace.is_zero() {
            self.record(Signal::Kill, reason);
            self.deliver(Signal::Kill, true);
            return;
        }
        self.record(Signal::Terminate, reason);
        let at = Instant::now().checked_add(grace);
        {
            let mut ending = self.ending.lock();
            // A second, more patient kill does not delay the first.
            if let Some(at) = at
                && ending.kill_at.is_none_or(|(old, _)| at < old)
            {
                ending.kill_at = Some((at, reason));
            }
        }
        self.deliver(Signal::Terminate, true);
        self.wake.notify_one();
    }

    fn record(&self, signal: Signal, reason: KillReason) {
        let mut ending = self.ending.lock();
        ending.sent[usize::from(signal.number())].get_or_insert(reason);
    }

    fn deliver(&self, signal: Signal, tree: bool) {
        let sent = self.with_process(|process| {
            if tree {
                process.signal_tree(signal)
            } else {
                process.signal(signal)
            }
        });
        if let Some(Err(error)) = sent {
            tracing::warn!(child = self.id, ?signal, %error, "could not send a signal");
        }
    }

    /// When the supervisor must act next, and as what the child then ends.
    pub(crate) fn next_deadline(&self) -> (Instant, KillReason) {
        let ending = self.ending.lock();
        let lifetime = ending.lifetime_at.map(|at| (at, KillReason::Lifetime));
        let others = ending.kill_at.into_iter().chain(lifetime);
        let first = others.min_by_key(|(at, _)| *at);
        first
            .filter(|(at, _)| *at < self.deadline)
            .unwrap_or((self.deadline, KillReason::Timeout))
    }

    /// Sets when the child ends as detached for too long; none: never.
    pub(crate) fn set_lifetime(&self, at: Option<Instant>) {
        self.ending.lock().lifetime_at = at;
        self.wake.notify_one();
    }

    /// What the leader's end means: its own exit always counts, a signal only
    /// where neither the host nor one of its limits sent it.
    pub(crate) fn status_of(&self, exit: Exit) -> ExitStatus {
        let ending = self.ending.lock();
        let signal = match exit {
            Exit::Code(code) => return ExitStatus::Exited(code),
            Exit::Signal(signal) => signal,
        };
        match (
            ending.sent.get(usize::from(signal)).copied().flatten(),
            signal,
        ) {
            (Some(reason), _) => ExitStatus::Killed(reason),
            (None, SIGXCPU) if self.cpu_limited => ExitStatus::Killed(KillReason::CpuTime),
            (None, SIGXFSZ) if self.file_size_limited => ExitStatus::Killed(KillReason::FileSize),
            (None, _) => ExitStatus::Signaled(signal),
        }
    }

    pub(crate) fn captured(&self, stdout: u64, stderr: u64) -> (Captured, Captured) {
        (
            self.stdout.lock().read(stdout),
            self.stderr.lock().read(stderr),
        )
    }

    /// Counts output that was read, and ends a child that wrote more than it may.
    pub(crate) fn count_output(&self, bytes: u64) {
        let before = self.output_bytes.fetch_add(bytes, Ordering::Relaxed);
        let over = |max| before + bytes > max;
        if self.max_output_bytes.is_some_and(over) {
            self.kill(KillReason::Output, Duration::ZERO);
        }
    }

    pub(crate) fn discard_output(&self, retained: &RetainedBytes) {
        self.stdout.lock().discard(retained);
        self.stderr.lock().discard(retained);
        *self.untaken.lock() = Untaken::default();
    }

    pub(crate) fn is_released(&self) -> bool {
        self.released.load(Ordering::Acquire)
    }

    pub(crate) fn info(&self) -> ChildInfo {
        ChildInfo {
            id: self.id,
            program: self.program.clone(),
            args: self.args.clone(),
            started_at: self.started_at,
            ended_at: self.phase().ended().map(|(_, at)| at),
            pid: self.disclosed_pid,
        }
    }

    pub(crate) fn receipt(&self) -> Option<Receipt> {
        self.phase().ended().map(|(status, ended_at)| Receipt {
            id: self.id,
            program: self.program.clone(),
            status,
            started_at: self.started_at,
            ended_at,
        })
    }
}

/// A deadline that never comes: 30 years.
pub(crate) const FAR: Duration = Duration::from_secs(30 * 365 * 86_400);

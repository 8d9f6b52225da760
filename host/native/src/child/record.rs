//! One child's record, shared by its handle, the registry and its supervisor.
//!
//! The status is written once and never changes. Signals are sent only while the
//! leader is unreaped: sending and reaping exclude each other, so no signal can
//! reach an unrelated process that was given the process id later.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use parking_lot::{Condvar, Mutex};
use tokio::sync::{Notify, watch};

use super::account::{Charge, HeldFd, Need};
use super::arguments::Arguments;
use super::capture::{Capture, Captured};
use super::ending::{Ending, Phase};
use super::info::ChildInfo;
use super::owner::OwnerKey;
use super::pipe::UntakenPipes;
use super::tree::{TreeLimits, Verdict};
use super::usage::{Sample, TreeName};
use crate::clock::Clock;
use crate::launch::{Exit, Observation, Plan, Process, Request, Scope, TreeUsage};
use crate::limits::Limits;
use crate::status::{ExitStatus, KillReason, Receipt, Signal};

/// The state of one child.
#[derive(Debug)]
pub(crate) struct Record {
    id: u64,
    owner: OwnerKey,
    /// The number of the guest that started it or last attached to it.
    guest: AtomicU64,
    /// The name of the grant's rule that allowed it.
    rule: String,
    program: String,
    arguments: Mutex<Arguments>,
    disclosed_pid: Option<u32>,
    confinement: &'static str,
    clock: Clock,
    started_at: SystemTime,
    /// By the system's clock, by which running trees are sampled.
    started: Instant,
    tree_limits: Mutex<TreeLimits>,
    stdout: Mutex<Capture>,
    stderr: Mutex<Capture>,
    /// Bytes of output that were read, captured and piped together.
    output_bytes: AtomicU64,
    limits: Limits,
    untaken: Mutex<UntakenPipes>,
    ending: Mutex<Ending>,
    /// Makes the supervisor read the deadlines again.
    deadline_changed: Notify,
    /// None once it is reaped.
    process: Mutex<Option<Arc<dyn Process>>>,
    phase: watch::Sender<Phase>,
    /// The signal that has ended the leader. Set before the phase that shows its end.
    end_signal: Arc<OnceLock<u8>>,
    /// Why the launcher has ended it, or lost its status.
    reason: OnceLock<String>,
    /// Wakes threads that block in [`Record::block_until`]: cheaper than running
    /// a future there, on the path of every blocking wait.
    blocking: (Mutex<()>, Condvar),
    /// What the tree was seen to use, once it is gone.
    observations: OnceLock<Vec<Observation>>,
}

/// What a record is made of when its child has started.
pub(crate) struct Started {
    /// The child's number in its registry.
    pub(crate) id: u64,
    /// Whose quotas it counts against.
    pub(crate) owner: OwnerKey,
    /// The guest that starts it.
    pub(crate) guest: Scope,
    /// What was launched.
    pub(crate) plan: Box<Plan>,
    /// How much of the plan's confinement is enforced.
    pub(crate) confinement: &'static str,
    /// The memory of the arguments, charged to the owner.
    pub(crate) arguments: Charge,
    /// The captures of standard output and standard error.
    pub(crate) captures: [Capture; 2],
    /// Pipes for the guest to take.
    pub(crate) untaken: UntakenPipes,
    /// The running process.
    pub(crate) process: Arc<dyn Process>,
    /// The registry's clock.
    pub(crate) clock: Clock,
}

impl Record {
    pub(crate) fn new(started: Started) -> Self {
        let Plan {
            name,
            request,
            limits,
            disclose_pid,
            ..
        } = *started.plan;
        let [stdout, stderr] = started.captures;
        Self {
            id: started.id,
            owner: started.owner,
            guest: AtomicU64::new(started.guest.0),
            rule: name,
            arguments: Mutex::new(Arguments::new(&request, started.arguments)),
            program: request.program,
            disclosed_pid: disclose_pid.then(|| started.process.pid()),
            confinement: started.confinement,
            started_at: started.clock.wall(),
            started: Instant::now(),
            tree_limits: Mutex::new(TreeLimits::new(&limits)),
            stdout: Mutex::new(stdout),
            stderr: Mutex::new(stderr),
            output_bytes: AtomicU64::new(0),
            untaken: Mutex::new(started.untaken),
            ending: Mutex::new(Ending::new(&limits, started.clock.now())),
            limits,
            clock: started.clock,
            deadline_changed: Notify::new(),
            process: Mutex::new(Some(started.process)),
            phase: watch::Sender::new(Phase::Running),
            end_signal: Arc::default(),
            reason: OnceLock::new(),
            blocking: (Mutex::new(()), Condvar::new()),
            observations: OnceLock::new(),
        }
    }

    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// The limits in force for it.
    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(crate) fn owner(&self) -> &OwnerKey {
        &self.owner
    }

    /// The guest that started it or last attached to it.
    pub(crate) fn guest(&self) -> Scope {
        Scope(self.guest.load(Ordering::Relaxed))
    }

    /// From now on it is the child of `guest`.
    pub(crate) fn set_guest(&self, guest: Scope) {
        self.guest.store(guest.0, Ordering::Relaxed);
    }

    /// The name of the grant's rule that allowed it.
    pub(crate) fn rule(&self) -> &str {
        &self.rule
    }

    /// What the guest asked for, as far as events show it.
    pub(crate) fn request(&self) -> Request {
        let arguments = self.arguments.lock();
        Request {
            program: self.program.clone(),
            arg0: arguments.arg0().map(str::to_owned),
            args: arguments.to_vec(),
            raw_args: arguments.raw().to_vec(),
            env_names: Vec::new(),
        }
    }

    /// How much of the demanded confinement is enforced, in one word.
    pub(crate) fn confinement(&self) -> &'static str {
        self.confinement
    }

    /// Why the launcher has ended it, or lost its status.
    pub(crate) fn reason(&self) -> Option<&str> {
        self.reason.get().map(String::as_str)
    }

    /// Remembers why the launcher has ended it; the first reason stays.
    pub(crate) fn set_reason(&self, reason: String) {
        let _ = self.reason.set(reason);
    }

    pub(crate) fn started_at(&self) -> SystemTime {
        self.started_at
    }

    /// How long ago it was started.
    pub(crate) fn age(&self) -> Duration {
        self.started.elapsed()
    }

    pub(crate) fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<Phase> {
        self.phase.subscribe()
    }

    /// The signal that has ended the leader, once the phase shows its end.
    pub(crate) fn end_signal(&self) -> &Arc<OnceLock<u8>> {
        &self.end_signal
    }

    /// Moves on to `next`. A status that is already written stays.
    pub(crate) fn advance(&self, next: Phase) {
        self.phase.send_if_modified(|phase| {
            let allowed = phase.may_become(next);
            if allowed {
                *phase = next;
            }
            allowed
        });
        let _guard = self.blocking.0.lock();
        self.blocking.1.notify_all();
    }

    /// Blocks the thread until `done` holds of the phase or `timeout` has passed.
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

    /// What names the processes of the tree, until the leader is reaped.
    pub(crate) fn tree_name(&self) -> Option<TreeName> {
        let process = self.process.lock();
        process.as_deref().map(|process| TreeName {
            group: process.pid(),
            mark: process.mark(),
        })
    }

    /// Kills what is left of the tree, then reaps the leader. No signal is sent
    /// afterwards.
    pub(crate) fn kill_tree_and_reap(&self) {
        // A signal is sent before this or not at all, so the lock need not be held while reaping.
        let process = self.process.lock().take();
        if let Some(process) = process {
            if let Err(error) = process.signal_tree(Signal::Kill) {
                tracing::warn!(child = self.id, %error, "could not kill the rest of the tree");
            }
            self.count(&*process);
            let killed = match self.phase().ended() {
                Some((ExitStatus::Killed(reason), _)) => Some(reason),
                _ => None,
            };
            let _ = self.observations.set(process.observations(killed));
            if let Err(error) = process.reap() {
                tracing::warn!(child = self.id, %error, "could not reap");
            }
        }
    }

    /// Returns what the tree was seen to use; nothing before it is gone.
    pub(crate) fn observations(&self) -> &[Observation] {
        self.observations.get().map_or(&[], Vec::as_slice)
    }

    /// Sends `signal` to the leader.
    pub(crate) fn signal(&self, signal: Signal) {
        self.ending.lock().sent(signal, KillReason::Requested);
        self.deliver(signal, |process| process.signal(signal));
    }

    /// Sends `signal` to the whole tree.
    pub(crate) fn signal_tree(&self, signal: Signal) {
        self.ending.lock().sent(signal, KillReason::Requested);
        self.deliver(signal, |process| process.signal_tree(signal));
    }

    /// Ends the tree: with SIGTERM first where there is a `grace`.
    pub(crate) fn kill(&self, reason: KillReason, grace: Duration) {
        let signal = if grace.is_zero() {
            Signal::Kill
        } else {
            Signal::Terminate
        };
        {
            let mut ending = self.ending.lock();
            ending.sent(signal, reason);
            if !grace.is_zero() {
                ending.kill_after(self.clock.now(), grace, reason);
            }
        }
        self.deliver(signal, |process| process.signal_tree(signal));
        if !grace.is_zero() {
            // A stopped process receives SIGTERM when it is resumed.
            let resume = Signal::Continue;
            self.deliver(resume, |process| process.signal_tree(resume));
            self.deadline_changed.notify_one();
        }
    }

    fn deliver(&self, signal: Signal, send: impl FnOnce(&dyn Process) -> std::io::Result<()>) {
        let sent = self.process.lock().as_deref().map(send);
        if let Some(Err(error)) = sent {
            tracing::warn!(child = self.id, ?signal, %error, "could not send a signal");
        }
    }

    /// When the supervisor must act next, and the reason to record for the kill.
    pub(crate) fn next_deadline(&self) -> (Instant, KillReason) {
        self.ending.lock().next_deadline()
    }

    /// Waits until [`Record::next_deadline`] may have changed.
    pub(crate) async fn deadline_changed(&self) {
        self.deadline_changed.notified().await;
    }

    /// Sets when a detached child has run for as long as it may; `None` is never.
    pub(crate) fn set_lifetime(&self, at: Option<Instant>) {
        self.ending.lock().set_lifetime(at);
        self.deadline_changed.notify_one();
    }

    /// Returns the status that the leader's `exit` stands for. Where the kernel has ended
    /// something in the tree for its memory limit, the limit has ended the tree: a leader that
    /// survived that, and exited before the rest was killed, is no different.
    pub(crate) fn status_of(&self, exit: Exit) -> ExitStatus {
        if let Exit::Signal(signal) = exit {
            let _ = self.end_signal.set(signal);
        }
        let limit = self.process.lock().as_deref().and_then(|it| self.count(it));
        match (limit, self.ending.lock().status_of(exit)) {
            (Some(reason), ExitStatus::Exited(_) | ExitStatus::Signaled(_)) => {
                ExitStatus::Killed(reason)
            }
            (_, status) => status,
        }
    }

    /// Compares the tree of process group `group` with its limits, by the kernel's counters or by
    /// `sample`. A tree that is gone is within them.
    pub(crate) fn check(&self, group: u32, sample: &Sample) -> Verdict {
        let counters = self.process.lock().as_deref().map(Process::counters);
        counters.map_or(Verdict::Within, |counters| {
            self.tree_limits.lock().check(group, sample, &counters)
        })
    }

    /// Adds the tree's memory as a measurement found it, and kills a tree over its limit.
    pub(crate) fn measured(&self, bytes: u64) {
        let exceeded = self.tree_limits.lock().measured(bytes);
        if let Some(reason) = exceeded {
            self.kill(reason, Duration::ZERO);
        }
    }

    /// What the tree has used, as far as it was measured.
    pub(crate) fn usage(&self) -> TreeUsage {
        self.tree_limits.lock().usage()
    }

    /// Adds what the kernel counts for the tree, and returns the limit for which the kernel has
    /// ended something in it.
    fn count(&self, process: &dyn Process) -> Option<KillReason> {
        let mut tree = self.tree_limits.lock();
        if let Some(cpu) = process.ended_cpu() {
            tree.leader_ended(cpu);
        }
        tree.count(&process.counters())
    }

    /// The capture of standard output.
    pub(crate) fn stdout(&self) -> &Mutex<Capture> {
        &self.stdout
    }

    /// The capture of standard error.
    pub(crate) fn stderr(&self) -> &Mutex<Capture> {
        &self.stderr
    }

    pub(crate) fn captured(&self, stdout: u64, stderr: u64) -> (Captured, Captured) {
        (
            self.stdout.lock().read(stdout),
            self.stderr.lock().read(stderr),
        )
    }

    /// Counts output that was read, and kills a child that wrote more than it may.
    pub(crate) fn count_output(&self, bytes: u64) {
        let before = self.output_bytes.fetch_add(bytes, Ordering::Relaxed);
        let over = |max| before + bytes > max;
        if self.limits.output_bytes.is_some_and(over) {
            self.kill(KillReason::Output, Duration::ZERO);
        }
    }

    /// No more output will come: gives back what was promised for it.
    pub(crate) fn settle(&self) {
        self.stdout.lock().settle();
        self.stderr.lock().settle();
    }

    /// Drops what is held for the child: its output, its arguments, and the pipes that
    /// nobody took.
    pub(crate) fn discard(&self) {
        self.stdout.lock().discard();
        self.stderr.lock().discard();
        *self.arguments.lock() = Arguments::default();
        *self.untaken.lock() = UntakenPipes::default();
    }

    /// Returns what [`Record::discard`] gives back once no more output will come.
    pub(crate) fn held(&self) -> Need {
        let output = self.stdout.lock().kept() + self.stderr.lock().kept();
        Need {
            bytes: output + self.arguments.lock().bytes(),
            promised: 0,
            descriptors: self.untaken.lock().count(),
        }
    }

    pub(crate) fn take_stdin(&self) -> Option<Arc<HeldFd>> {
        self.untaken.lock().stdin.take()
    }

    pub(crate) fn take_stdout(&self) -> Option<Arc<HeldFd>> {
        self.untaken.lock().stdout.take()
    }

    pub(crate) fn take_stderr(&self) -> Option<Arc<HeldFd>> {
        self.untaken.lock().stderr.take()
    }

    pub(crate) fn info(&self) -> ChildInfo {
        ChildInfo {
            id: self.id,
            program: self.program.clone(),
            args: self.arguments.lock().to_vec(),
            started_at: self.started_at,
            ended_at: self.phase().ended().map(|(_, at)| at),
            pid: self.disclosed_pid,
        }
    }

    /// Returns how the child ended, without its output; none while it runs.
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

//! How a child comes to its end: its phases, its deadlines, and whose signal it was.

use std::time::{Duration, Instant, SystemTime};

use crate::launch::Exit;
use crate::limits::Limits;
use crate::status::{ExitStatus, KillReason, Signal};

/// The signal of `RLIMIT_CPU`.
const SIGXCPU: u8 = 24;
/// The signal of `RLIMIT_FSIZE`.
const SIGXFSZ: u8 = 25;

/// A deadline that never comes: 30 years.
pub(crate) const FAR: Duration = Duration::from_secs(30 * 365 * 86_400);

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
    /// Returns the status and the time of the end; none while the child runs.
    pub(crate) fn ended(self) -> Option<(ExitStatus, SystemTime)> {
        match self {
            Self::Running => None,
            Self::Ended(status, at) | Self::Complete(status, at) => Some((status, at)),
        }
    }

    pub(crate) fn is_complete(self) -> bool {
        matches!(self, Self::Complete(..))
    }

    /// Whether `next` follows this phase. A status never changes.
    pub(crate) fn may_become(self, next: Self) -> bool {
        match (self, next) {
            (Self::Running, Self::Ended(..)) => true,
            (Self::Ended(old, _), Self::Complete(new, _)) => old == new,
            _ => false,
        }
    }
}

/// What the host has done to end a child, and when it will do more.
#[derive(Debug)]
pub(crate) struct Ending {
    /// The reason for which each signal was sent first, by its number.
    sent: [Option<KillReason>; 32],
    /// When the wall clock limit is reached.
    deadline: Instant,
    /// When SIGTERM is followed by SIGKILL, and why.
    kill_at: Option<(Instant, KillReason)>,
    /// When a detached child has run for as long as it may.
    lifetime_at: Option<Instant>,
    cpu_limited: bool,
    file_size_limited: bool,
}

impl Ending {
    /// Of a child under `limits` that starts at `now`.
    pub(crate) fn new(limits: &Limits, now: Instant) -> Self {
        Self {
            sent: [None; 32],
            deadline: now.checked_add(limits.wall).unwrap_or(now + FAR),
            kill_at: None,
            lifetime_at: None,
            cpu_limited: limits.cpu.is_some(),
            file_size_limited: limits.file_size_bytes.is_some(),
        }
    }

    /// Remembers that the host sends `signal`, and why; the first reason stays.
    pub(crate) fn sent(&mut self, signal: Signal, reason: KillReason) {
        self.sent[usize::from(signal.number())].get_or_insert(reason);
    }

    /// Kills at `now` and `grace`. A second, more patient request does not delay the first.
    pub(crate) fn kill_after(&mut self, now: Instant, grace: Duration, reason: KillReason) {
        if let Some(at) = now.checked_add(grace)
            && self.kill_at.is_none_or(|(old, _)| at < old)
        {
            self.kill_at = Some((at, reason));
        }
    }

    pub(crate) fn set_lifetime(&mut self, at: Option<Instant>) {
        self.lifetime_at = at;
    }

    /// Returns the earliest deadline, and the reason to record for the kill.
    pub(crate) fn next_deadline(&self) -> (Instant, KillReason) {
        let lifetime = self.lifetime_at.map(|at| (at, KillReason::Lifetime));
        let others = self.kill_at.into_iter().chain(lifetime);
        let first = others.min_by_key(|(at, _)| *at);
        first
            .filter(|(at, _)| *at < self.deadline)
            .unwrap_or((self.deadline, KillReason::Timeout))
    }

    /// Returns the status for the leader's `exit`: an exit code always counts, and
    /// a signal is the child's own unless the host or one of its limits sent it.
    pub(crate) fn status_of(&self, exit: Exit) -> ExitStatus {
        let signal = match exit {
            Exit::Code(code) => return ExitStatus::Exited(code),
            Exit::Signal(signal) => signal,
        };
        let sent = self.sent.get(usize::from(signal)).copied().flatten();
        match (sent, signal) {
            (Some(reason), _) => ExitStatus::Killed(reason),
            (None, SIGXCPU) if self.cpu_limited => ExitStatus::Killed(KillReason::CpuTime),
            (None, SIGXFSZ) if self.file_size_limited => ExitStatus::Killed(KillReason::FileSize),
            (None, _) => ExitStatus::Signaled(signal),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ending() -> Ending {
        Ending::new(&Limits::default(), Instant::now())
    }

    #[test]
    fn a_signal_counts_as_the_hosts_only_where_the_host_sent_it() {
        let mut ending = ending();
        assert_eq!(ending.status_of(Exit::Signal(9)), ExitStatus::Signaled(9));
        ending.sent(Signal::Kill, KillReason::Timeout);
        ending.sent(Signal::Kill, KillReason::Released);
        let killed = ExitStatus::Killed(KillReason::Timeout);
        assert_eq!(ending.status_of(Exit::Signal(9)), killed);
        assert_eq!(ending.status_of(Exit::Code(0)), ExitStatus::Exited(0));
        assert_eq!(ending.status_of(Exit::Signal(15)), ExitStatus::Signaled(15));
    }

    #[test]
    fn a_limits_signal_is_the_limits_only_where_it_is_set() {
        let cpu = ExitStatus::Killed(KillReason::CpuTime);
        assert_eq!(ending().status_of(Exit::Signal(SIGXCPU)), cpu);
        let size = ExitStatus::Killed(KillReason::FileSize);
        assert_eq!(ending().status_of(Exit::Signal(SIGXFSZ)), size);
        let unlimited = Limits {
            cpu: None,
            file_size_bytes: None,
            ..Limits::default()
        };
        let ending = Ending::new(&unlimited, Instant::now());
        let own = ExitStatus::Signaled(SIGXCPU);
        assert_eq!(ending.status_of(Exit::Signal(SIGXCPU)), own);
    }

    #[test]
    fn the_earliest_deadline_wins_and_patience_does_not_delay_it() {
        let mut ending = ending();
        assert_eq!(ending.next_deadline().1, KillReason::Timeout);
        let now = Instant::now();
        ending.kill_after(now, Duration::from_secs(2), KillReason::Requested);
        let (first, reason) = ending.next_deadline();
        assert_eq!(reason, KillReason::Requested);
        ending.kill_after(now, Duration::from_secs(9), KillReason::Requested);
        assert_eq!(ending.next_deadline().0, first);
        ending.set_lifetime(first.checked_sub(Duration::from_secs(1)));
        assert_eq!(ending.next_deadline().1, KillReason::Lifetime);
        ending.set_lifetime(None);
        assert_eq!(ending.next_deadline().0, first);
    }

    #[test]
    fn a_status_is_written_once() {
        let at = SystemTime::UNIX_EPOCH;
        let zero = ExitStatus::Exited(0);
        let ended = Phase::Ended(zero, at);
        assert!(Phase::Running.may_become(ended));
        assert!(ended.may_become(Phase::Complete(zero, at)));
        assert!(!ended.may_become(Phase::Ended(ExitStatus::Exited(1), at)));
        assert!(!ended.may_become(Phase::Complete(ExitStatus::Exited(1), at)));
        assert!(!Phase::Running.may_become(Phase::Complete(zero, at)));
        assert!(!Phase::Complete(zero, at).may_become(Phase::Running));
    }
}

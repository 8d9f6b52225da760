//! What a virtual clock knows: the time, the timers, and who waits.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::task::Waker;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use tokio::runtime::Handle;

/// The name of a timer: when it is due, and a number.
pub(super) type TimerKey = (Duration, u64);

/// What a timer does when its time has come.
#[derive(Debug)]
pub(super) enum Alarm {
    /// Wakes a future.
    Wake(Waker),
    /// Releases a thread that waits for the time, which from then on waits no longer.
    Release(mpsc::Sender<()>),
}

/// The state of a clock, behind its lock.
#[derive(Debug, Default)]
pub(super) struct State {
    /// The time since the clock's start.
    pub(super) elapsed: Duration,
    pub(super) timers: BTreeMap<TimerKey, Alarm>,
    next_timer: u64,
    /// Threads and futures for which time may pass.
    pub(super) waiting: usize,
    /// Who keeps time from passing.
    pub(super) holds: usize,
    /// The runtimes that must have nothing left to do, each with the number by which it is detached.
    pub(super) runtimes: Vec<(u64, Handle)>,
    next_runtime: u64,
    /// No handle of the clock is left.
    pub(super) closed: bool,
}

impl State {
    /// Adds a timer that is due at `at`.
    pub(super) fn add_timer(&mut self, at: Duration, alarm: Alarm) -> TimerKey {
        self.next_timer += 1;
        let key = (at, self.next_timer);
        self.timers.insert(key, alarm);
        key
    }

    /// Adds a runtime, unless it is there; returns its number if it was not.
    pub(super) fn add_runtime(&mut self, runtime: &Handle) -> Option<u64> {
        let is_there = |(_, other): &(u64, Handle)| other.id() == runtime.id();
        if self.runtimes.iter().any(is_there) {
            return None;
        }
        self.next_runtime += 1;
        self.runtimes.push((self.next_runtime, runtime.clone()));
        Some(self.next_runtime)
    }

    /// Whether time would pass if nothing else had anything to do.
    pub(super) fn may_move(&self) -> bool {
        self.waiting > 0 && self.holds == 0 && !self.timers.is_empty()
    }

    /// Moves to the first timer, and returns what is due then, in the order in which it was added.
    pub(super) fn step(&mut self) -> Vec<Alarm> {
        let Some((&(at, _), _)) = self.timers.first_key_value() else {
            return Vec::new();
        };
        self.elapsed = self.elapsed.max(at);
        let later = self.timers.split_off(&(self.elapsed, u64::MAX));
        let due = std::mem::replace(&mut self.timers, later);
        let due: Vec<_> = due.into_values().collect();
        let is_thread = |alarm: &&Alarm| matches!(alarm, Alarm::Release(_));
        self.waiting -= due.iter().filter(is_thread).count();
        due
    }
}

/// The state of a clock, shared by its handles, its timers and its thread.
#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) state: Mutex<State>,
    /// Something changed that the clock's thread may wait for.
    pub(super) changed: Condvar,
    /// How often counted futures were polled, and timers went off.
    pub(super) activity: AtomicU64,
    /// How many counted futures are being polled.
    pub(super) polling: AtomicUsize,
}

impl Shared {
    /// Changes the state, and wakes the clock's thread.
    pub(super) fn change<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        let result = change(&mut self.state.lock());
        self.changed.notify_all();
        result
    }

    /// Returns what counted futures have done so far; none while one of them is being polled.
    pub(super) fn activity(&self) -> Option<u64> {
        let activity = self.activity.load(Ordering::SeqCst);
        (self.polling.load(Ordering::SeqCst) == 0).then_some(activity)
    }
}

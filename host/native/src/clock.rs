//! The time of a registry: the system's, or a test's own.
//!
//! Deadlines, rates, waits, the grace of a kill and the time stamps of events come from one [`Clock`], which is
//! given to the registry when it is built. What is measured and not promised stays with the system's clock: the
//! sampling of running processes, and how soon freed memory goes back to the machine.
//!
//! Rejected: tokio's paused time. It is a feature of the whole build, production included; each runtime has a clock of
//! its own; and it covers neither threads that block nor the time of day. Rejected too: a trait for clocks. A
//! clock that moves must know when nothing else is left to do, which only the registry can tell it.

mod counted;
mod probe;
mod state;
#[cfg(test)]
mod tests;
mod virtual_clock;

use std::time::{Duration, Instant, SystemTime};

use tokio::runtime::Handle;

pub(crate) use self::virtual_clock::Waiting;
pub use self::virtual_clock::{Hold, VirtualClock};

/// Where a registry has the time from.
///
/// ```
/// use std::time::Duration;
///
/// use capspawn_native::clock::{Clock, VirtualClock};
///
/// let virtual_clock = VirtualClock::new();
/// let clock = Clock::from(&virtual_clock);
/// let before = (clock.now(), clock.wall());
/// virtual_clock.advance(Duration::from_secs(600));
/// assert_eq!(clock.now() - before.0, Duration::from_secs(600));
/// assert_eq!(clock.wall(), before.1 + Duration::from_secs(600));
/// ```
#[derive(Debug, Clone, Default)]
pub struct Clock(Option<VirtualClock>);

impl From<&VirtualClock> for Clock {
    fn from(clock: &VirtualClock) -> Self {
        Self(Some(clock.clone()))
    }
}

impl From<VirtualClock> for Clock {
    fn from(clock: VirtualClock) -> Self {
        Self(Some(clock))
    }
}

impl Clock {
    /// Returns the system's clock.
    pub const fn system() -> Self {
        Self(None)
    }

    /// Returns the time that only moves forward. Similar to `clock_gettime` with `CLOCK_MONOTONIC`.
    pub fn now(&self) -> Instant {
        self.0.as_ref().map_or_else(Instant::now, VirtualClock::now)
    }

    /// Returns the time of day. Similar to `clock_gettime` with `CLOCK_REALTIME`.
    pub fn wall(&self) -> SystemTime {
        let clock = self.0.as_ref();
        clock.map_or_else(SystemTime::now, VirtualClock::wall)
    }

    /// Sleeps until `at`.
    ///
    /// # Panics
    ///
    /// The system's clock, outside a tokio runtime with a timer.
    pub fn sleep_until(&self, at: Instant) -> impl Future<Output = ()> + Send + use<> {
        // Both are registered now, and not when the future is polled: the caller's runtime is that of this call.
        let (system, simulated) = match &self.0 {
            None => (Some(tokio::time::sleep_until(at.into())), None),
            Some(clock) => (None, Some(clock.sleep_until(at))),
        };
        async move {
            if let Some(sleep) = system {
                sleep.await;
            }
            if let Some(sleep) = simulated {
                sleep.await;
            }
        }
    }

    /// Sleeps for `duration`; for ever if its end cannot be represented.
    ///
    /// # Panics
    ///
    /// As [`Clock::sleep_until`].
    pub fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send + use<> {
        let at = self.now().checked_add(duration);
        let sleep = at.map(|at| self.sleep_until(at));
        async move {
            match sleep {
                Some(sleep) => sleep.await,
                None => std::future::pending().await,
            }
        }
    }

    /// Runs `task` on `runtime`. Virtual time stands still while the task has something to do. For
    /// launchers that keep time themselves.
    pub fn spawn(&self, runtime: &Handle, task: impl Future<Output = ()> + Send + 'static) {
        match &self.0 {
            None => drop(runtime.spawn(task)),
            Some(clock) => {
                clock.attach(runtime);
                drop(runtime.spawn(clock.counted(task)));
            }
        }
    }

    /// Keeps virtual time where it is, for work that the clock does not see; see [`VirtualClock::hold`].
    pub fn hold(&self) -> Option<Hold> {
        self.0.as_ref().map(VirtualClock::hold)
    }

    /// Lets virtual time pass until the returned value is dropped.
    pub(crate) fn waiting(&self) -> Option<Waiting> {
        self.0.as_ref().map(VirtualClock::waiting)
    }

    /// Returns the virtual clock, if it is one.
    pub fn as_virtual(&self) -> Option<&VirtualClock> {
        self.0.as_ref()
    }
}

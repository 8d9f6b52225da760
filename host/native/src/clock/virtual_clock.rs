//! A clock for tests, which moves when everything waits for it.

use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll};
use std::time::{Duration, Instant, SystemTime};
use std::{fmt, thread};

use tokio::runtime::Handle;

use super::counted::Counted;
use super::probe::Probes;
use super::state::{Alarm, Shared, TimerKey};

/// The time of day when a virtual clock starts: 2000-01-01 00:00:00 UTC, in seconds since the Unix epoch. Fixed, so
/// that what a test records is the same on every day.
const START_SECONDS: u64 = 946_684_800;

/// A clock for tests: ten minutes pass in no time, and always at the same point of the test.
///
/// The time stands still while anything is done. It moves to the next deadline, and never beyond, when a thread blocks in a
/// wait of the registry or a future in [`VirtualClock::run`] waits, and nothing is left to do in the registry, in the
/// scripted children, and in that future. A test thread that computes between two waits stops the time, unless another thread
/// waits: a test with several threads uses [`VirtualClock::hold`].
///
/// The clock knows nothing of real processes: under the native launcher all deadlines would pass at once.
///
/// ```
/// use std::time::Duration;
///
/// use capspawn_native::clock::{Clock, VirtualClock};
///
/// let clock = VirtualClock::new();
/// let runtime = tokio::runtime::Builder::new_current_thread().build()?;
/// runtime.block_on(clock.run(async {
///     let start = clock.now();
///     Clock::from(&clock).sleep(Duration::from_secs(600)).await;
///     assert_eq!(clock.now() - start, Duration::from_secs(600));
/// }));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct VirtualClock(pub(super) Arc<Handles>);

/// The handles of a clock together. Its thread ends with the last of them.
pub(super) struct Handles {
    pub(super) shared: Arc<Shared>,
    start: Instant,
    wall_start: SystemTime,
}

impl Drop for Handles {
    fn drop(&mut self) {
        self.shared.change(|state| state.closed = true);
    }
}

impl fmt::Debug for VirtualClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VirtualClock")
            .field("elapsed", &self.elapsed())
            .finish_non_exhaustive()
    }
}

impl Default for VirtualClock {
    fn default() -> Self {
        Self::new()
    }
}

impl VirtualClock {
    /// Returns a clock that starts on 1 January 2000, 0:00 UTC.
    ///
    /// # Panics
    ///
    /// The system cannot create a thread.
    pub fn new() -> Self {
        Self::starting_at(SystemTime::UNIX_EPOCH + Duration::from_secs(START_SECONDS))
    }

    /// Returns a clock whose time of day starts at `wall`.
    ///
    /// # Panics
    ///
    /// The system cannot create a thread.
    pub fn starting_at(wall: SystemTime) -> Self {
        let shared = Arc::<Shared>::default();
        let moved = Arc::clone(&shared);
        let thread = thread::Builder::new().name("capspawn-clock".into());
        thread
            .spawn(move || keep_moving(&moved))
            .expect("the system creates a thread");
        Self(Arc::new(Handles {
            shared,
            start: Instant::now(),
            wall_start: wall,
        }))
    }

    fn elapsed(&self) -> Duration {
        self.0.shared.state.lock().elapsed
    }

    /// Returns the time that only moves forward.
    pub fn now(&self) -> Instant {
        self.0.start + self.elapsed()
    }

    /// Returns the time of day.
    pub fn wall(&self) -> SystemTime {
        self.0.wall_start + self.elapsed()
    }

    /// Lets `duration` pass, with all that becomes due meanwhile, one deadline after the other. Blocks the thread; within a
    /// future, sleep on the clock instead.
    pub fn advance(&self, duration: Duration) {
        let (sender, released) = mpsc::channel();
        self.0.shared.change(|state| {
            let at = state.elapsed.saturating_add(duration);
            state.add_timer(at, Alarm::Release(sender));
            state.waiting += 1;
        });
        // The clock's thread lives as long as this handle.
        let _ = released.recv();
    }

    /// Runs `future`, and lets time pass whenever it waits and nothing else is left to do.
    ///
    /// Whatever the future waits for, a timer of its own included, time passes: a future that waits for the real world
    /// takes a [`VirtualClock::hold`] meanwhile. The runtime should be one of the current thread.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub async fn run<F: Future>(&self, future: F) -> F::Output {
        let runtime = Handle::current();
        let added = self.0.shared.change(|state| state.add_runtime(&runtime));
        // The runtime may not be run after this, and would answer no probe then.
        let _attached = added.map(|number| Attached {
            shared: Arc::clone(&self.0.shared),
            number,
        });
        Counted::new(future, Arc::clone(&self.0.shared), true).await
    }

    /// Keeps the time where it is until the returned value is dropped: for what the clock does not see, as work on another
    /// thread.
    #[must_use]
    pub fn hold(&self) -> Hold {
        self.0.shared.change(|state| state.holds += 1);
        Hold(Arc::clone(&self.0.shared))
    }

    /// Lets time pass until the returned value is dropped.
    pub(super) fn waiting(&self) -> Waiting {
        self.0.shared.change(|state| state.waiting += 1);
        Waiting(Arc::clone(&self.0.shared))
    }

    /// Makes the clock wait until `runtime` has nothing to do.
    pub(super) fn attach(&self, runtime: &Handle) {
        self.0.shared.change(|state| state.add_runtime(runtime));
    }

    /// Returns `task`, whose work stops the time.
    pub(super) fn counted<F: Future>(&self, task: F) -> Counted<F> {
        Counted::new(task, Arc::clone(&self.0.shared), false)
    }

    /// Blocks the thread until `future`, which is run on `runtime`, has ended. Time passes meanwhile. Returns none without
    /// waiting on a thread of that runtime, which could not run it then, and if the runtime is gone.
    pub(crate) fn block_on<R: Send + 'static>(
        &self,
        runtime: &Handle,
        future: impl Future<Output = R> + Send + 'static,
    ) -> Option<R> {
        if Handle::try_current().is_ok_and(|current| current.id() == runtime.id()) {
            return None;
        }
        let (sender, result) = mpsc::channel();
        self.attach(runtime);
        let future = async move {
            let _ = sender.send(future.await);
        };
        // The task itself is what waits, and no longer waits when its result is there: the thread may be late.
        let task = Counted::new(future, Arc::clone(&self.0.shared), true);
        drop(runtime.spawn(task));
        result.recv().ok()
    }

    pub(super) fn sleep_until(&self, at: Instant) -> Sleep {
        Sleep {
            shared: Arc::clone(&self.0.shared),
            at: at.saturating_duration_since(self.0.start),
            timer: None,
        }
    }
}

/// Keeps the time of a [`VirtualClock`] where it is.
#[derive(Debug)]
pub struct Hold(Arc<Shared>);

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.change(|state| state.holds -= 1);
    }
}

/// Lets the time of a [`VirtualClock`] pass.
#[derive(Debug)]
pub(crate) struct Waiting(Arc<Shared>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.change(|state| state.waiting -= 1);
    }
}

/// A runtime that is run as long as this lives.
struct Attached {
    shared: Arc<Shared>,
    number: u64,
}

impl Drop for Attached {
    fn drop(&mut self) {
        let number = self.number;
        self.shared
            .change(|state| state.runtimes.retain(|(other, _)| *other != number));
    }
}

/// A sleep on a virtual clock.
#[derive(Debug)]
pub(super) struct Sleep {
    shared: Arc<Shared>,
    at: Duration,
    timer: Option<TimerKey>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let waker = context.waker().clone();
        let timer = this.timer.take();
        this.timer = this.shared.change(|state| {
            if let Some(key) = timer {
                state.timers.remove(&key);
            }
            let is_due = state.elapsed >= this.at;
            (!is_due).then(|| state.add_timer(this.at, Alarm::Wake(waker)))
        });
        match this.timer {
            Some(_) => Poll::Pending,
            None => Poll::Ready(()),
        }
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(key) = self.timer.take() {
            self.shared.state.lock().timers.remove(&key);
        }
    }
}

/// Moves the time from deadline to deadline, until the clock is gone.
fn keep_moving(shared: &Arc<Shared>) {
    loop {
        let Some(activity) = wait_for_rest(shared) else {
            return;
        };
        let mut state = shared.state.lock();
        if !state.may_move() || shared.activity() != Some(activity) {
            continue;
        }
        let due = state.step();
        shared.activity.fetch_add(1, Ordering::SeqCst);
        drop(state);
        for alarm in due {
            match alarm {
                Alarm::Wake(waker) => waker.wake(),
                Alarm::Release(thread) => drop(thread.send(())),
            }
        }
    }
}

/// Waits until time may pass and every runtime has answered a probe. Returns what had been done before the probes; none
/// once the clock is gone.
fn wait_for_rest(shared: &Arc<Shared>) -> Option<u64> {
    let mut state = shared.state.lock();
    loop {
        let activity = loop {
            if state.closed {
                return None;
            }
            match shared.activity() {
                Some(activity) if state.may_move() => break activity,
                _ => shared.changed.wait(&mut state),
            }
        };
        let runtimes = state.runtimes.clone();
        drop(state);
        let probes = Probes::send(shared, &runtimes);
        state = shared.state.lock();
        // A runtime that is no longer run does not answer: then nobody waits in it either.
        while !probes.are_answered() && state.may_move() && !state.closed {
            shared.changed.wait(&mut state);
        }
        if probes.are_answered() && state.may_move() {
            return Some(activity);
        }
    }
}

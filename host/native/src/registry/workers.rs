//! Threads for what may block, on behalf of callers that must not.
//!
//! A decision looks at files of the host and a launch waits for other processes; either may hang. An
//! async caller leaves them to one of these threads, so that its executor serves timers, signals and
//! other guests meanwhile. A thread is started where none is free, and ends after a while without
//! work; each request has a place in the registry first, which bounds their number.
//!
//! Rejected: the blocking threads of the registry's own runtime, which panic where no thread can
//! be started, and those of the caller's, which need not be tokio's.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;
use tracing::dispatcher::{get_default, with_default};

use crate::error::SpawnError;
use crate::shortage::Shortage;

/// How long a thread without work is kept: 10 s.
const KEPT: Duration = Duration::from_secs(10);

type Job = Box<dyn FnOnce() + Send>;

/// The threads of one registry. They end once this is dropped and their work is done.
#[derive(Debug, Default)]
pub(super) struct Workers(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    has_work: Condvar,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Job>,
    /// Threads that wait for work.
    idle: usize,
    is_closed: bool,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl Workers {
    /// Does `work` on a thread that may block. A future that is dropped does not stop the work; its
    /// result is dropped then.
    ///
    /// # Errors
    ///
    /// [`SpawnError::Shortage`] if no thread can be started.
    ///
    /// # Panics
    ///
    /// If `work` does.
    pub(super) async fn run<R: Send + 'static>(
        &self,
        work: impl FnOnce() -> R + Send + 'static,
    ) -> Result<R, SpawnError> {
        let (sender, result) = oneshot::channel();
        let span = tracing::Span::current();
        let dispatch = get_default(Clone::clone);
        self.start(Box::new(move || {
            let work = || with_default(&dispatch, || span.in_scope(work));
            let _ = sender.send(catch_unwind(AssertUnwindSafe(work)));
        }))?;
        match result.await {
            Ok(Ok(result)) => Ok(result),
            Ok(Err(panic)) => resume_unwind(panic),
            // The work of a thread that runs is always done.
            Err(_) => Err(SpawnError::Shutdown),
        }
    }

    fn start(&self, job: Job) -> Result<(), SpawnError> {
        let mut state = self.0.state.lock();
        state.queue.push_back(job);
        if state.idle >= state.queue.len() {
            drop(state);
            self.0.has_work.notify_one();
            return Ok(());
        }
        // Under the lock: where no thread can be started, nobody else takes the job meanwhile.
        let shared = Arc::clone(&self.0);
        let thread = std::thread::Builder::new().name("capspawn-launch".into());
        match thread.spawn(move || shared.work()) {
            Ok(_) => Ok(()),
            Err(error) => {
                state.queue.pop_back();
                let shortage = Shortage::within(&error).unwrap_or(Shortage::Processes);
                Err(SpawnError::Shortage(shortage))
            }
        }
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.0.state.lock().is_closed = true;
        self.0.has_work.notify_all();
    }
}

impl Shared {
    /// Does what is queued, until there was nothing for a while.
    fn work(&self) {
        let mut state = self.state.lock();
        loop {
            if let Some(job) = state.queue.pop_front() {
                drop(state);
                job();
                state = self.state.lock();
                continue;
            }
            if state.is_closed {
                return;
            }
            state.idle += 1;
            let waited = self.has_work.wait_for(&mut state, KEPT);
            state.idle -= 1;
            if waited.timed_out() && state.queue.is_empty() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::mpsc;
    use std::task::{Context, Poll, Waker};

    use super::*;

    fn block_on<R>(future: impl Future<Output = R>) -> R {
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.build().expect("a runtime");
        runtime.block_on(future)
    }

    #[test]
    fn work_is_done_while_other_work_blocks() {
        let workers = Workers::default();
        let (release, released) = mpsc::channel::<()>();
        let blocked = workers.run(move || released.recv());
        let mut blocked = pin!(blocked);
        let mut context = Context::from_waker(Waker::noop());
        assert!(blocked.as_mut().poll(&mut context).is_pending());
        for number in 0..3 {
            let done = block_on(workers.run(move || number));
            assert_eq!(done.expect("a thread"), number);
        }
        release.send(()).expect("it waits");
        assert!(matches!(block_on(blocked), Ok(Ok(()))));
    }

    #[test]
    fn dropping_a_future_drops_the_result_and_not_the_work() {
        struct Result(mpsc::Sender<&'static str>);
        impl Drop for Result {
            fn drop(&mut self) {
                let _ = self.0.send("dropped");
            }
        }
        let workers = Workers::default();
        let (sender, events) = mpsc::channel();
        let (release, released) = mpsc::channel::<()>();
        {
            let work = workers.run(move || {
                let _ = released.recv();
                sender.send("done").expect("the test waits");
                Result(sender)
            });
            let mut context = Context::from_waker(Waker::noop());
            assert!(matches!(pin!(work).poll(&mut context), Poll::Pending));
        }
        release.send(()).expect("it waits");
        assert_eq!(events.recv(), Ok("done"));
        assert_eq!(events.recv(), Ok("dropped"));
    }

    #[test]
    fn a_panic_reaches_the_caller_and_leaves_the_threads_usable() {
        let workers = Workers::default();
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            block_on(workers.run(|| panic!("of the work")))
        }));
        panicked.expect_err("the caller panics too");
        assert_eq!(block_on(workers.run(|| 1)).expect("a thread"), 1);
    }
}

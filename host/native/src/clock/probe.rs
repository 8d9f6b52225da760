//! Finds out whether runtimes have nothing left to do.
//!
//! A runtime has no such question, but it answers one: a task that yields runs again only after the runtime has polled
//! its descriptors once and run what was ready before. If a probe has passed every runtime, and no counted future was
//! polled meanwhile, then nothing is ready anywhere: only counted futures write into pipes or wake each other.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::runtime::Handle;

use super::state::Shared;

/// How often a probe yields. The first time lets run what is ready, the second time what that has made ready.
const YIELDS: usize = 2;

/// Probes that have not been answered.
#[derive(Debug)]
pub(super) struct Probes(Arc<AtomicUsize>);

impl Probes {
    /// Sends a probe to each of `runtimes`.
    pub(super) fn send(shared: &Arc<Shared>, runtimes: &[(u64, Handle)]) -> Self {
        let open = Arc::new(AtomicUsize::new(runtimes.len()));
        for (number, runtime) in runtimes {
            let answer = Answer {
                shared: Arc::clone(shared),
                open: Arc::clone(&open),
                number: *number,
                has_passed: false,
            };
            runtime.spawn(async move {
                for _ in 0..YIELDS {
                    tokio::task::yield_now().await;
                }
                answer.pass();
            });
        }
        Self(open)
    }

    /// Returns whether all have been answered.
    pub(super) fn are_answered(&self) -> bool {
        self.0.load(Ordering::SeqCst) == 0
    }
}

/// Answers a probe when it is dropped: it has passed, or the runtime is gone.
struct Answer {
    shared: Arc<Shared>,
    open: Arc<AtomicUsize>,
    number: u64,
    has_passed: bool,
}

impl Answer {
    fn pass(mut self) {
        self.has_passed = true;
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        let (number, has_passed) = (self.number, self.has_passed);
        let open = &self.open;
        self.shared.change(|state| {
            if !has_passed {
                state.runtimes.retain(|(other, _)| *other != number);
            }
            open.fetch_sub(1, Ordering::SeqCst);
        });
    }
}

//! Futures whose work a virtual clock sees.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use super::state::Shared;

/// Counts each poll of a future, so that the clock knows whether anything has happened.
///
/// The future is boxed, which pins it: only virtual clocks count.
pub(super) struct Counted<F> {
    future: Pin<Box<F>>,
    shared: Arc<Shared>,
    /// Whether time may pass while the future waits.
    waits: bool,
    /// It waits now.
    waiting: bool,
}

impl<F> Counted<F> {
    pub(super) fn new(future: F, shared: Arc<Shared>, waits: bool) -> Self {
        Self {
            future: Box::pin(future),
            shared,
            waits,
            waiting: false,
        }
    }

    fn set_waiting(&mut self, waiting: bool) {
        if self.waits && self.waiting != waiting {
            self.waiting = waiting;
            self.shared.change(|state| {
                if waiting {
                    state.waiting += 1;
                } else {
                    state.waiting -= 1;
                }
            });
        }
    }
}

impl<F: Future> Future for Counted<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        // Before the activity: whoever reads both the other way round misses neither.
        let polling = Polling::new(&this.shared);
        this.set_waiting(false);
        let polled = this.future.as_mut().poll(context);
        this.set_waiting(polled.is_pending());
        drop(polling);
        polled
    }
}

impl<F> Drop for Counted<F> {
    fn drop(&mut self) {
        self.set_waiting(false);
    }
}

/// Counts one poll, also one that panics.
struct Polling(Arc<Shared>);

impl Polling {
    fn new(shared: &Arc<Shared>) -> Self {
        shared.polling.fetch_add(1, Ordering::SeqCst);
        shared.activity.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(shared))
    }
}

impl Drop for Polling {
    fn drop(&mut self) {
        self.0.polling.fetch_sub(1, Ordering::SeqCst);
        // Under the lock, so that the clock's thread does not miss it between its check and its wait.
        self.0.change(|_| ());
    }
}

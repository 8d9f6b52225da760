//! Runs a future to its end, and wakes it when the pollables that it waits for are ready.

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use wasip2::io::poll::Pollable;

use crate::wait;

thread_local! {
    /// A future that is dropped drops its pollable too, which must not outlive its stream.
    static WAITING: RefCell<Vec<(Weak<Pollable>, Waker)>> = const { RefCell::new(Vec::new()) };
}

/// Wakes the task of `context` when `pollable` is ready, as long as the result is kept.
pub(crate) fn register(pollable: Pollable, context: &Context<'_>) -> Arc<Pollable> {
    let pollable = Arc::new(pollable);
    let waiting = (Arc::downgrade(&pollable), context.waker().clone());
    WAITING.with_borrow_mut(|all| all.push(waiting));
    pollable
}

/// Waits until `pollable` is ready.
pub(crate) async fn ready(pollable: impl Fn() -> Pollable) {
    let mut registered: Option<Arc<Pollable>> = None;
    poll_fn(|context| {
        if registered.take().is_some_and(|it| it.ready()) {
            return Poll::Ready(());
        }
        registered = Some(register(pollable(), context));
        Poll::Pending
    })
    .await;
}

/// Runs a future to its end, and blocks until then.
///
/// The futures of this crate, and the asynchronous reads and writes of its pipes, make progress
/// only in a future that this function runs. Combine them with the crate `futures`. An executor
/// that polls WASI itself, as that of the crate `wstd`, can wait for
/// [`Child::subscribe`](crate::Child::subscribe) instead.
///
/// ```
/// use capspawn_guest::{Command, block_on};
/// use futures::future::{join_all, try_join};
///
/// block_on(async {
///     let (first, second) = try_join(
///         Command::new("echo").arg("1").spawn()?.wait_async(),
///         Command::new("echo").arg("2").spawn()?.wait_async(),
///     )
///     .await?;
///     assert!(first.success() && second.success());
///     std::io::Result::Ok(())
/// })
/// # .and(Ok(()))
/// # ;
/// ```
///
/// # Panics
///
/// The future waits for something that is not of this crate, so that the wait would never end.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(Arc::clone(&woken));
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        while !woken.0.swap(false, Ordering::Relaxed) {
            wake_ready();
        }
    }
}

/// Waits until `time` has passed.
pub async fn sleep(time: Duration) {
    let timer = Arc::new(wait::timer(time));
    poll_fn(|context| {
        if timer.ready() {
            return Poll::Ready(());
        }
        let waiting = (Arc::downgrade(&timer), context.waker().clone());
        WAITING.with_borrow_mut(|all| all.push(waiting));
        Poll::Pending
    })
    .await;
}

/// Blocks until a registered pollable is ready, and wakes the tasks of those that are.
fn wake_ready() {
    let waiting = WAITING.take();
    let mut kept: Vec<(Arc<Pollable>, Waker)> = waiting
        .into_iter()
        .filter_map(|(pollable, waker)| Some((pollable.upgrade()?, waker)))
        .collect();
    let pollables: Vec<&Pollable> = kept.iter().map(|(pollable, _)| &**pollable).collect();
    let ready = wait::block(&pollables);
    for index in ready.into_iter().rev() {
        let (_, waker) = kept.remove(index);
        waker.wake();
    }
    let still = kept
        .iter()
        .map(|(pollable, waker)| (Arc::downgrade(pollable), waker.clone()));
    WAITING.with_borrow_mut(|all| all.extend(still));
}

#[derive(Debug, Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

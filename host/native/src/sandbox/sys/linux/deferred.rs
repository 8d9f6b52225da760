//! Work that can wait: what many children leave when they end at once is removed after the last
//! of them was reported.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::deadline::Deadline;

/// How long the work waits: long enough for the ends of some thousand children.
const DELAY: Duration = Duration::from_secs(1);

/// Work that is done once, a second after it was requested, on a thread of its own that exists only
/// until then.
#[derive(Debug, Default)]
pub(crate) struct Deferred(Arc<AtomicBool>);

impl Deferred {
    /// Has `work` done on `owner` a second from now, unless that was requested already. If `owner` is dropped
    /// first, it is not done. A host that has no thread left does it now.
    pub(crate) fn request<T: Send + Sync + 'static>(&self, owner: &Arc<T>, work: fn(&Arc<T>)) {
        if self.0.swap(true, Ordering::Relaxed) {
            return;
        }
        let (is_requested, weak) = (Arc::clone(&self.0), Arc::downgrade(owner));
        let thread = std::thread::Builder::new().name("capspawn-later".into());
        let started = thread.spawn(move || {
            Deadline::after(DELAY).sleep();
            // Requested again from here on, the work is done again.
            is_requested.store(false, Ordering::Relaxed);
            if let Some(owner) = weak.upgrade() {
                work(&owner);
            }
        });
        if started.is_err() {
            self.0.store(false, Ordering::Relaxed);
            work(owner);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::sync::mpsc::{Sender, channel};

    use super::*;

    struct Owner {
        deferred: Deferred,
        done: AtomicUsize,
        notify: Sender<()>,
    }

    fn work(owner: &Arc<Owner>) {
        owner.done.fetch_add(1, Ordering::Relaxed);
        owner.notify.send(()).expect("the test waits");
    }

    #[test]
    fn work_that_is_requested_many_times_is_done_once_and_then_again() {
        let (notify, notified) = channel();
        let owner = Arc::new(Owner {
            deferred: Deferred::default(),
            done: AtomicUsize::new(0),
            notify,
        });
        for round in 1..=2 {
            for _ in 0..100 {
                owner.deferred.request(&owner, work);
            }
            notified.recv().expect("it is done");
            assert_eq!(owner.done.load(Ordering::Relaxed), round);
        }
    }
}

//! Memory that guests have given back, returned to the machine.
//!
//! glibc keeps what is freed: after 120 children with 500 kB of arguments each, 54 of 60 MiB stayed with the
//! process. So a second after much was given back, its free pages are returned, on a thread of their
//! own: at most once a second, and never on the path of a spawn. Rejected: buffers that are mapped and unmapped
//! for each child (arguments and standard input come from elsewhere), and a fixed threshold of `malloc` for
//! mapped memory, which left 27 MiB and concerns the whole host.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::runtime::Handle;

use crate::child::account::Totals;
use crate::sandbox::sys::return_free_memory;

/// How many bytes must have been given back: 1 MiB.
const MIN_FREED_BYTES: usize = 1024 * 1024;

/// How long to wait for more: 1 s.
const COLLECT: Duration = Duration::from_secs(1);

/// Whether freed memory is returned, and whether that is about to happen.
#[derive(Debug)]
pub(super) struct HeapReturn {
    enabled: bool,
    due: Arc<AtomicBool>,
}

impl HeapReturn {
    pub(super) fn new(enabled: bool) -> Self {
        Self {
            enabled,
            due: Arc::default(),
        }
    }

    /// Makes free memory return to the machine soon, if guests have given much back since the last time.
    pub(super) fn request(&self, handle: &Handle, totals: &Arc<Totals>) {
        let is_much = self.enabled && totals.freed_bytes() >= MIN_FREED_BYTES;
        if !is_much || self.due.swap(true, Ordering::Relaxed) {
            return;
        }
        let (due, totals) = (Arc::clone(&self.due), Arc::clone(totals));
        handle.spawn(async move {
            tokio::time::sleep(COLLECT).await;
            let thread = std::thread::Builder::new().name("capspawn-heap".into());
            // Without a thread it is tried again, once something more is given back.
            if thread.spawn(return_free_memory).is_ok() {
                totals.forget_freed();
            }
            due.store(false, Ordering::Relaxed);
        });
    }
}

//! The one place in which this crate blocks.
//!
//! While the component waits, nothing else in it runs. So each wait also serves the links
//! (`link`), which copy the inherited and connected streams of children: a child whose output
//! nobody copies would block.

use std::time::Duration;

use wasip2::clocks::monotonic_clock;
use wasip2::io::poll::{Pollable, poll};

use crate::link;

/// Blocks until one of `wanted` is ready, and returns the indices of those that are, in order.
///
/// # Panics
///
/// `wanted` is empty: the wait would never end.
pub(crate) fn block(wanted: &[&Pollable]) -> Vec<usize> {
    assert!(!wanted.is_empty(), "there is nothing to wait for");
    loop {
        let links = link::step_all();
        let mut all = wanted.to_vec();
        all.extend(&links);
        let mut ready = Vec::with_capacity(all.len());
        ready.extend(poll(&all).into_iter().map(|index| index as usize));
        ready.retain(|index| *index < wanted.len());
        // The host reports them in the order in which they became ready.
        ready.sort_unstable();
        if !ready.is_empty() {
            return ready;
        }
    }
}

/// Returns a pollable that is ready after `timeout`.
pub(crate) fn timer(timeout: Duration) -> Pollable {
    monotonic_clock::subscribe_duration(nanoseconds(timeout))
}

/// Returns a time in the unit of WASI; one of more than 584 years is shortened.
pub(crate) fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

//! What bounds the component itself: the grant bounds only what it starts.
//!
//! A component that computes never returns to the host by itself: a clock
//! advances the engine's epoch, and at each tick the component gives way, so that
//! a time-out and a signal are served and dropping its call ends it. Fuel would
//! count instructions exactly, and cost every one of them.
//!
//! `host/examples/reference-host.rs` is the same for embedders, in one file.

use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};
use wasmtime::{Engine, Store, StoreLimits, StoreLimitsBuilder, UpdateDeadline};

use crate::guest::State;

/// How long a component may compute before it gives way: 10 ms.
const TICK: Duration = Duration::from_millis(10);

/// What each of the component's memories may grow to: 1 GiB.
const MAX_MEMORY_BYTES: usize = 1 << 30;

/// What each of its tables may grow to, in elements.
const MAX_TABLE_ELEMENTS: usize = 1 << 20;

/// Core instances, tables and memories of one component, each: stops an
/// instantiation that multiplies them.
const MAX_ITEMS: usize = 1000;

/// Bytes that one call may move from the component into the host: 64 MiB, four
/// times the largest standard input. More traps.
const MAX_CALL_BYTES: usize = 64 << 20;

/// Handles (children, options, streams, pollables, files) that the component may
/// hold at once. More trap.
const MAX_HANDLES: usize = 10_000;

/// Advances the engine's epoch until the engine is gone.
pub(crate) fn start_clock(engine: &Engine) -> Result<()> {
    let engine = engine.weak();
    let tick = move || {
        while let Some(engine) = engine.upgrade() {
            engine.increment_epoch();
            drop(engine);
            thread::sleep(TICK);
        }
    };
    let clock = thread::Builder::new().name("capspawn-clock".into());
    clock.spawn(tick).context("cannot start the clock")?;
    Ok(())
}

/// What a component's memories and tables may grow to.
pub(crate) fn limits() -> StoreLimits {
    StoreLimitsBuilder::new()
        .memory_size(MAX_MEMORY_BYTES)
        .table_elements(MAX_TABLE_ELEMENTS)
        .instances(MAX_ITEMS)
        .memories(MAX_ITEMS)
        .tables(MAX_ITEMS)
        .build()
}

/// Puts the bounds on a new store.
pub(crate) fn bound(store: &mut Store<State>) {
    store.limiter(|state| state.limits());
    store.set_hostcall_fuel(MAX_CALL_BYTES);
    store.set_max_component_handles(MAX_HANDLES);
    store.set_epoch_deadline(1);
    // The runtime's own yield: one that wakes itself at once would keep a runtime
    // with one thread from its timers.
    store.epoch_deadline_callback(|_| {
        Ok(UpdateDeadline::YieldCustom(
            1,
            Box::pin(tokio::task::yield_now()),
        ))
    });
}

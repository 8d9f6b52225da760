//! Limits on the component itself. The grant limits only the programs that the
//! component starts.
//!
//! A component that computes does not return to the host by itself. So a thread
//! advances the engine's epoch, and at each tick the component yields: the host then
//! handles time-outs and signals, and can end the component by dropping its call. Fuel
//! would count instructions exactly, and every instruction would pay for it.
//!
//! `host/examples/reference-host.rs` shows the same limits to embedders, in one file.

use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};
use wasmtime::{Engine, Store, StoreLimits, StoreLimitsBuilder, UpdateDeadline};

/// How long a component may compute before it yields.
const TICK: Duration = Duration::from_millis(10);

/// The largest size of each of the component's memories: 1 GiB.
const MAX_MEMORY_BYTES: usize = 1 << 30;

/// The largest size of each of its tables, in elements.
const MAX_TABLE_ELEMENTS: usize = 1 << 20;

/// The most core instances, tables and memories (each) of one component, so that
/// instantiation cannot multiply them without bound.
const MAX_ITEMS: usize = 1000;

/// The most bytes that one call may move from the component into the host: 64 MiB,
/// four times the largest standard input. A call that exceeds this traps.
const MAX_CALL_BYTES: usize = 64 << 20;

/// The most handles (children, options, streams, pollables, files) that the component
/// may hold at once. One more traps.
const MAX_HANDLES: usize = 10_000;

/// Starts the thread that advances the engine's epoch until the engine is dropped.
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
    clock.spawn(tick).context("cannot start the clock thread")?;
    Ok(())
}

/// Returns the limits on the component's memories and tables.
pub(crate) fn limits() -> StoreLimits {
    StoreLimitsBuilder::new()
        .memory_size(MAX_MEMORY_BYTES)
        .table_elements(MAX_TABLE_ELEMENTS)
        .instances(MAX_ITEMS)
        .memories(MAX_ITEMS)
        .tables(MAX_ITEMS)
        .build()
}

/// Sets all limits on a new store, whose data keeps what [`limits`] returned.
pub(crate) fn bound<T: 'static>(store: &mut Store<T>, limits: fn(&mut T) -> &mut StoreLimits) {
    store.limiter(move |data| limits(data));
    store.set_hostcall_fuel(MAX_CALL_BYTES);
    store.set_max_component_handles(MAX_HANDLES);
    store.set_epoch_deadline(1);
    // Yields through tokio. wasmtime's own yield wakes itself at once, and a runtime
    // with one thread would then never serve its timers.
    store.epoch_deadline_callback(|_| {
        Ok(UpdateDeadline::YieldCustom(
            1,
            Box::pin(tokio::task::yield_now()),
        ))
    });
}

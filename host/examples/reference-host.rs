//! A host for components that nobody has read: every bound in its place.
//!
//! `reference-host GRANTS.toml GUEST.wasm` runs one component. What each bound
//! stops is written beside it; the numbers are examples.

use std::error::Error;
use std::path::Path;
use std::thread;
use std::time::Duration;

use capspawn::{Grants, ProcessCtx, ProcessCtxView, ProcessView, Registry};
use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::{Config, Engine, Store, StoreLimits, StoreLimitsBuilder, UpdateDeadline};
use wasmtime_wasi::p2::bindings::Command;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

/// How long one call may take, host calls included.
const CALL_BOUND: Duration = Duration::from_secs(60);

/// How long a guest may compute before it gives way.
const TICK: Duration = Duration::from_millis(10);

/// How long the end of the host waits for its killed children to be gone.
const SHUTDOWN_BOUND: Duration = Duration::from_secs(2);

struct State {
    table: ResourceTable,
    wasi: WasiCtx,
    process: ProcessCtx,
    limits: StoreLimits,
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

impl ProcessView for State {
    fn process(&mut self) -> ProcessCtxView<'_> {
        ProcessCtxView {
            ctx: &mut self.process,
            table: &mut self.table,
        }
    }
}

/// Once per host: an engine that interrupts its guests.
fn engine() -> wasmtime::Result<Engine> {
    let mut config = Config::new();
    // A guest that computes for ever would keep its thread, and no time-out
    // around the call would ever be looked at.
    config.epoch_interruption(true);
    let engine = Engine::new(&config)?;
    let clock = engine.weak();
    thread::spawn(move || {
        while let Some(engine) = clock.upgrade() {
            engine.increment_epoch();
            drop(engine);
            thread::sleep(TICK);
        }
    });
    Ok(engine)
}

/// Once per call: a store with its bounds.
fn store(engine: &Engine, process: ProcessCtx) -> Store<State> {
    let limits = StoreLimitsBuilder::new()
        .memory_size(256 << 20)
        .table_elements(1 << 20)
        .instances(100)
        .memories(10)
        .tables(100)
        .build();
    let state = State {
        table: ResourceTable::new(),
        wasi: WasiCtx::builder().inherit_stdio().build(),
        process,
        limits,
    };
    let mut store = Store::new(engine, state);
    store.limiter(|state| &mut state.limits);
    // What one call may copy into the host before anything looks at it.
    store.set_hostcall_fuel(64 << 20);
    // Handles cost the host memory, and a guest makes them for nothing.
    store.set_max_component_handles(10_000);
    store.set_epoch_deadline(1);
    // Gives way through the runtime, which then looks at its timers: with
    // `epoch_deadline_async_yield_and_update` a runtime of one thread does not.
    store.epoch_deadline_callback(|_| {
        let pause = Box::pin(tokio::task::yield_now());
        Ok(UpdateDeadline::YieldCustom(1, pause))
    });
    store
}

async fn run(grants: &Path, guest: &Path) -> Result<(), Box<dyn Error>> {
    // Once per host: caps that hold for all guests together.
    let registry = Registry::builder().max_entries(256).build()?;
    let grants = Grants::load(grants)?;
    let engine = engine()?;
    let mut linker = Linker::new(&engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    capspawn::p2::add_to_linker(&mut linker)?;
    let component = Component::from_file(&engine, guest)?;

    let name = guest.file_stem().unwrap_or_default().to_string_lossy();
    let process = ProcessCtx::builder(&registry)
        .grant(grants.component(&name))
        .build();
    let mut store = store(&engine, process);
    let call = async {
        let command = Command::instantiate_async(&mut store, &component, &linker).await?;
        command.wasi_cli_run().call_run(&mut store).await
    };
    // Covers waiting inside host calls, which no epoch sees.
    let outcome = tokio::time::timeout(CALL_BOUND, call).await;

    // Dropping the store kills what the guest still runs. A host that keeps the
    // store of an abandoned call does this instead:
    for child in store.data().process.live() {
        eprintln!("left running: {} ({})", child.program, child.id);
    }
    store.data().process.kill_all();
    drop(store);
    // Ends the detached too, and says whether all of it is gone.
    if !registry.shutdown_async(SHUTDOWN_BOUND).await {
        eprintln!("some children are not reaped yet");
    }
    match outcome {
        Err(_) => Err(format!("the guest did not end within {CALL_BOUND:?}").into()),
        Ok(Err(trap)) => Err(trap.into()),
        Ok(Ok(Err(()))) => Err("the guest failed".into()),
        Ok(Ok(Ok(()))) => Ok(()),
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args_os().skip(1);
    let (Some(grants), Some(guest)) = (args.next(), args.next()) else {
        return Err("usage: reference-host GRANTS.toml GUEST.wasm".into());
    };
    // One thread is enough: the hard case.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(run(Path::new(&grants), Path::new(&guest)))
}

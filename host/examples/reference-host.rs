//! A host for components that it does not trust, with every limit in its place.
//!
//! `reference-host GRANTS.toml GUEST.wasm` runs one component. A comment at each
//! limit says what it stops. The numbers are examples.

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
const CALL_TIMEOUT: Duration = Duration::from_secs(60);

/// How long a guest may compute before it yields to other tasks.
const TICK: Duration = Duration::from_millis(10);

/// How long the shutdown waits until the killed children are reaped.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(2);

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

/// Returns an engine that interrupts its guests. Once for each host.
fn engine() -> wasmtime::Result<Engine> {
    let mut config = Config::new();
    // A guest that computes without end would occupy its thread, and no timeout
    // around the call would ever fire.
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

/// Returns a store with its limits. Once for each call.
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
    // Limits what one host call may copy into the host's memory.
    store.set_hostcall_fuel(64 << 20);
    // Each handle uses the host's memory, and costs a guest nothing.
    store.set_max_component_handles(10_000);
    store.set_epoch_deadline(1);
    // Yields through the runtime, which then polls its timers. With
    // `epoch_deadline_async_yield_and_update` a runtime of one thread does not.
    store.epoch_deadline_callback(|_| {
        let pause = Box::pin(tokio::task::yield_now());
        Ok(UpdateDeadline::YieldCustom(1, pause))
    });
    store
}

async fn run(grants: &Path, guest: &Path) -> Result<(), Box<dyn Error>> {
    // Once for each host: limits for all guests together.
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
    // Also ends a call that waits in the host, which no epoch interrupts.
    let outcome = tokio::time::timeout(CALL_TIMEOUT, call).await;

    // Dropping the store kills all children that the guest still runs. A host that
    // keeps the store of an abandoned call must call `kill_all` instead:
    for child in store.data().process.live() {
        eprintln!("left running: {} ({})", child.program, child.id);
    }
    store.data().process.kill_all();
    drop(store);
    // Kills detached children too. False if some are not reaped in time.
    if !registry.shutdown_async(SHUTDOWN_TIMEOUT).await {
        eprintln!("some children are not reaped after {SHUTDOWN_TIMEOUT:?}");
    }
    match outcome {
        Err(_) => Err(format!("the guest did not end within {CALL_TIMEOUT:?}").into()),
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
    // One thread is the hard case: nothing else could poll the timers.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(run(Path::new(&grants), Path::new(&guest)))
}

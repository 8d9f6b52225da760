//! The store's data, and how a component runs to its end.

use anyhow::{Context as _, Result, anyhow};
use capspawn::{ProcessCtx, ProcessCtxView, ProcessView};
use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::{Engine, Store, StoreLimits};
use wasmtime_wasi::p2::bindings::CommandPre;
use wasmtime_wasi::{FsPerms, I32Exit, WasiCtx, WasiCtxView, WasiView};

use crate::args::RunArgs;
use crate::bounds;

/// Exit code of a component that trapped: what a shell makes of an abort.
const TRAPPED: u8 = 134;

/// What the store holds for the component.
pub(crate) struct State {
    table: ResourceTable,
    wasi: WasiCtx,
    process: ProcessCtx,
    limits: StoreLimits,
}

impl State {
    /// Puts together what the component gets.
    pub(crate) fn new(wasi: WasiCtx, process: ProcessCtx) -> Self {
        Self {
            table: ResourceTable::new(),
            wasi,
            process,
            limits: bounds::limits(),
        }
    }

    /// What the component's memory and tables may grow to.
    pub(crate) fn limits(&mut self) -> &mut StoreLimits {
        &mut self.limits
    }
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

/// Returns what the component has of WASI: the standard streams, its arguments,
/// the named variables and directories, clocks and random numbers. No network.
pub(crate) fn wasi(args: &RunArgs) -> Result<WasiCtx> {
    let mut wasi = WasiCtx::builder();
    wasi.inherit_stdio();
    // As a native program's: its own name first.
    wasi.arg(args.guest.file_name().unwrap_or_default().to_string_lossy());
    wasi.args(&args.args);
    for variable in &args.env {
        wasi.env(&variable.name, &variable.value);
    }
    for dir in &args.dirs {
        wasi.preopened_dir(&dir.host, &dir.guest, FsPerms::ReadWrite)
            .map_err(anyhow::Error::from)
            .with_context(|| format!("cannot open the directory {} of --dir", dir.host))?;
    }
    Ok(wasi.build())
}

/// Links the component with WASI and the capability.
pub(crate) fn link(engine: &Engine, component: &Component) -> Result<CommandPre<State>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker).map_err(anyhow::Error::from)?;
    capspawn::p2::add_to_linker(&mut linker).map_err(anyhow::Error::from)?;
    let linked = linker
        .instantiate_pre(component)
        .map_err(|error| anyhow!("it imports what capspawn does not offer: {error:#}"))?;
    CommandPre::new(linked)
        .map_err(|_| anyhow!("it is a library: a command exports wasi:cli/run (version 0.2)"))
}

/// Runs the component and returns its exit code. The store, and with it
/// whatever the component still runs, is gone when this returns or is dropped; a
/// component that computes gives way to its caller at every tick.
pub(crate) async fn run(command: &CommandPre<State>, state: State) -> u8 {
    let mut store = Store::new(command.engine(), state);
    bounds::bound(&mut store);
    let result = async {
        let command = command.instantiate_async(&mut store).await?;
        command.wasi_cli_run().call_run(&mut store).await
    };
    match result.await {
        Ok(Ok(())) => 0,
        Ok(Err(())) => 1,
        Err(error) => match error.downcast_ref::<I32Exit>() {
            // `exit-with-code` takes a u8.
            Some(I32Exit(code)) => u8::try_from(*code).unwrap_or(u8::MAX),
            None => {
                let cause = crate::one_line(&error.root_cause().to_string());
                eprintln!("capspawn: the component trapped: {cause}");
                TRAPPED
            }
        },
    }
}

//! The data of the store, and one run of a component.

use std::io;
use std::os::fd::AsRawFd as _;
use std::path::Path;

use anyhow::{Context as _, Result, anyhow, bail};
use capspawn::{ProcessCtx, ProcessCtxView, ProcessView};
use capspawn_native::sandbox::NativeLauncher;
use rustix::io::Errno;
use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::{Engine, Store, StoreLimits};
use wasmtime_wasi::{FsPerms, I32Exit, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView, p2, p3};

use crate::args::RunArgs;
use crate::options::DirMapping;
use crate::streams::{Input, Output};
use crate::{bounds, output};

/// Exit code after a trap: a shell reports a process that aborted with the same code.
const TRAPPED: u8 = 134;

/// Exit code where capspawn itself failed.
const NOT_RUN: u8 = 2;

/// The data of the component's store.
pub(crate) struct State {
    table: ResourceTable,
    wasi: WasiCtx,
    process: ProcessCtx,
    limits: StoreLimits,
}

impl State {
    /// Returns the data of a new store.
    pub(crate) fn new(wasi: WasiCtx, process: ProcessCtx) -> Self {
        Self {
            table: ResourceTable::new(),
            wasi,
            process,
            limits: bounds::limits(),
        }
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

/// Returns the component's WASI context: the standard streams, its arguments, the
/// variables and directories that the options name, clocks and random numbers; its standard output is `stdout`. No
/// network.
pub(crate) fn wasi(
    args: &RunArgs,
    launcher: Option<&NativeLauncher>,
    stdout: Output,
) -> Result<WasiCtx> {
    let mut wasi = WasiCtx::builder();
    wasi.stdin(Input::default())
        .stdout(stdout)
        .stderr(Output::Stderr);
    // The program's own name is the first argument, as for a native program.
    wasi.arg(args.guest.file_name().unwrap_or_default().to_string_lossy());
    wasi.args(&args.args);
    for variable in &args.env {
        wasi.env(&variable.name, &variable.value);
    }
    for dir in &args.dirs {
        preopen(&mut wasi, dir, launcher, args.grants.is_some())
            .with_context(|| format!("cannot open the directory {} of --dir", dir.host))?;
    }
    Ok(wasi.build())
}

/// Gives the component a directory.
fn preopen(
    wasi: &mut WasiCtxBuilder,
    dir: &DirMapping,
    launcher: Option<&NativeLauncher>,
    has_children: bool,
) -> Result<()> {
    if dir.read_only {
        wasi.preopened_dir(&dir.host, &dir.guest, FsPerms::ReadOnly)?;
        return Ok(());
    }
    // First by its own path, for a clear error.
    std::fs::read_dir(&dir.host)?;
    // Without a launcher there are no children to share it with.
    let shared = launcher.map_or(Ok(None), |it| it.shared_directory(Path::new(&dir.host)));
    let shared = match shared {
        Ok(shared) => shared,
        Err(error) if has_children => {
            output::note(&format!(
                "{}: files that the component makes there belong to root, and the programs that it starts cannot \
                 change them ({error}): use a directory on ext4, XFS, Btrfs or tmpfs",
                dir.host
            ));
            None
        }
        Err(_) => None,
    };
    let path = match &shared {
        Some(shared) => format!("/proc/self/fd/{}", shared.as_raw_fd()),
        None => dir.host.clone(),
    };
    wasi.preopened_dir(path, &dir.guest, FsPerms::ReadWrite)?;
    Ok(())
}

/// A linked component, by the version of `wasi:cli/run` that it exports. Its imports may be
/// of both versions.
pub(crate) enum Command {
    P2(p2::bindings::CommandPre<State>),
    P3(p3::bindings::CommandPre<State>),
}

impl Command {
    fn engine(&self) -> &Engine {
        match self {
            Self::P2(command) => command.engine(),
            Self::P3(command) => command.engine(),
        }
    }

    async fn call(&self, store: &mut Store<State>) -> wasmtime::Result<Result<(), ()>> {
        match self {
            Self::P2(command) => {
                let command = command.instantiate_async(&mut *store).await?;
                command.wasi_cli_run().call_run(store).await
            }
            Self::P3(command) => {
                let command = command.instantiate_async(&mut *store).await?;
                let call = async |store: &_| command.wasi_cli_run().call_run(store).await;
                store.run_concurrent(call).await?
            }
        }
    }
}

/// Links the component with WASI and `capspawn:process`, in their versions 0.2 and 0.3.
pub(crate) fn link(engine: &Engine, component: &Component) -> Result<Command> {
    let mut linker = Linker::new(engine);
    p2::add_to_linker_async(&mut linker)
        .and_then(|()| p3::add_to_linker(&mut linker))
        .and_then(|()| capspawn::p2::add_to_linker(&mut linker))
        .and_then(|()| capspawn::p3::add_to_linker(&mut linker))
        .map_err(anyhow::Error::from)?;
    let imports = component.component_type();
    if let Some(import) = other_version(imports.imports(engine).map(|(name, _)| name)) {
        bail!(
            "the component imports {import}, and this capspawn has the versions 0.2.0 and 0.3.0: build it again with the \
             WIT of this capspawn (wit/p2 or wit/p3), or run it with the capspawn that it was built for"
        );
    }
    let linked = linker.instantiate_pre(component).map_err(|error| {
        anyhow!("the component imports something that capspawn does not provide: {error:#}")
    })?;
    // A component that exports both versions is written for the newer one.
    if let Ok(command) = p3::bindings::CommandPre::new(linked.clone()) {
        return Ok(Command::P3(command));
    }
    let command = p2::bindings::CommandPre::new(linked).map_err(|_| {
        anyhow!("the component is a library: a command exports wasi:cli/run, version 0.2 or 0.3")
    })?;
    Ok(Command::P2(command))
}

/// Returns the first import of another version of the interface.
fn other_version<'a>(mut imports: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    imports.find(|name| {
        let version = name
            .strip_prefix("capspawn:process/")
            .and_then(|it| it.split_once('@'));
        version.is_some_and(|(_, version)| {
            !version.starts_with("0.2.") && !version.starts_with("0.3.")
        })
    })
}

/// Runs the component and returns its exit code.
///
/// The store and all children that the component still runs end when this future
/// returns or is dropped. A component that computes yields at every tick, so that the
/// caller can drop the future.
pub(crate) async fn run(command: &Command, state: State) -> u8 {
    let mut store = Store::new(command.engine(), state);
    bounds::bound(&mut store, |state| &mut state.limits);
    match command.call(&mut store).await {
        Ok(Ok(())) => 0,
        Ok(Err(())) => 1,
        Err(error) => match error.downcast_ref::<I32Exit>() {
            // `exit-with-code` takes a u8.
            Some(I32Exit(code)) => u8::try_from(*code).unwrap_or(u8::MAX),
            None => {
                let root = error.root_cause();
                let cause = output::one_line(&root.to_string());
                if is_out_of_descriptors(root) {
                    output::note(&format!(
                        "the component cannot run: {cause}: raise the limit on open files of this process (RLIMIT_NOFILE, `ulimit -n`), or close files elsewhere"
                    ));
                    return NOT_RUN;
                }
                output::note(&format!("the component trapped: {cause}"));
                TRAPPED
            }
        },
    }
}

/// Whether wasmtime had no descriptor, which it needs for the memory of a component: the component did nothing wrong.
fn is_out_of_descriptors(error: &(dyn std::error::Error + 'static)) -> bool {
    let of_io = error
        .downcast_ref::<io::Error>()
        .and_then(Errno::from_io_error);
    let errno = of_io.or_else(|| error.downcast_ref::<Errno>().copied());
    matches!(errno, Some(Errno::MFILE | Errno::NFILE))
}

//! One run of a component.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, SystemTime};
use std::{fs, thread};

use capspawn::{Grants, ProcessCtx, ProcessView, Registry};
use parking_lot::Mutex;
use wasmtime::component::{Component, Linker};
use wasmtime::{Engine, Store};
use wasmtime_wasi::p2::pipe::{MemoryInputPipe, MemoryOutputPipe};
use wasmtime_wasi::{I32Exit, WasiView, p2, p3};

use super::{Grant, Parts, TestHost};
use crate::report::{Outcome, Recorder, Report};

/// The most bytes of a guest's own output that are kept, each stream: 16 MiB.
const MAX_OUTPUT_BYTES: usize = 16 * 1024 * 1024;

/// How long children may take to end when the guest has ended, by the host's clock. They are killed at once; the time is for
/// streams that a grandchild holds open.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(60);

/// The engine of the hosts that set no other.
static ENGINE: LazyLock<Engine> = LazyLock::new(Engine::default);

/// The components that [`ENGINE`] has compiled, with the time when each file was written.
static COMPONENTS: LazyLock<Mutex<HashMap<PathBuf, (SystemTime, Component)>>> =
    LazyLock::new(Mutex::default);

impl<T: WasiView + ProcessView + Send + 'static> TestHost<T> {
    /// Runs the guest, a command that exports `wasi:cli/run` in version 0.2 or 0.3, until it and all its children have ended.
    ///
    /// The guest runs on a thread of its own with a runtime of its own, so this can be called from any test, an async one
    /// included; it blocks the thread.
    ///
    /// # Panics
    ///
    /// The test itself is at fault: the guest or its grant cannot be loaded, or the guest imports what nobody provides.
    #[track_caller]
    pub fn run(self) -> Report {
        let call = async |store: &mut Store<T>, component: &Component, linker: &Linker<T>| {
            run_command(store, component, linker).await
        };
        let (report, result) = self.run_with(call);
        let outcome = match result {
            Ok(Ok(())) => Outcome::Exited(0),
            Ok(Err(())) => Outcome::Exited(1),
            Err(error) => match error.downcast_ref::<I32Exit>() {
                // `exit-with-code` takes a u8.
                Some(I32Exit(code)) => Outcome::Exited(u8::try_from(*code).unwrap_or(u8::MAX)),
                None => Outcome::Trapped(format!("{error:#}")),
            },
        };
        Report { outcome, ..report }
    }

    /// Does what [`TestHost::run`] does with an embedder's own call, as of an export of the embedder's world: `call`
    /// instantiates the component and returns what the report does not have.
    ///
    /// # Panics
    ///
    /// As [`TestHost::run`], and if `call` does.
    #[track_caller]
    pub fn run_with<R: Send>(
        self,
        call: impl AsyncFnOnce(&mut Store<T>, &Component, &Linker<T>) -> wasmtime::Result<R> + Send,
    ) -> (Report, wasmtime::Result<R>) {
        let ran = thread::scope(|scope| {
            let thread = thread::Builder::new().name("capspawn-test-guest".into());
            let thread = thread.spawn_scoped(scope, || {
                let mut runtime = tokio::runtime::Builder::new_current_thread();
                let runtime = runtime.enable_all().build()?;
                match self.clock.as_virtual().cloned() {
                    Some(clock) => runtime.block_on(clock.run(self.run_here(call))),
                    None => runtime.block_on(self.run_here(call)),
                }
            });
            thread.map(thread::ScopedJoinHandle::join)
        });
        match ran {
            Ok(Ok(Ok(ran))) => ran,
            Ok(Ok(Err(error))) => panic!("the test cannot run: {error:?}"),
            Ok(Err(panic)) => std::panic::resume_unwind(panic),
            Err(error) => panic!("the test cannot run: {error}"),
        }
    }

    async fn run_here<R>(
        mut self,
        call: impl AsyncFnOnce(&mut Store<T>, &Component, &Linker<T>) -> wasmtime::Result<R>,
    ) -> wasmtime::Result<(Report, wasmtime::Result<R>)> {
        let path = self
            .guest
            .clone()
            .ok_or_else(|| wasmtime::format_err!("no guest is set"))?;
        let component = component(self.engine.as_ref(), &path)?;
        let mut linker = Linker::new(component.engine());
        let start = self.clock.now();
        let launcher = self
            .launcher
            .clone()
            .unwrap_or_else(|| Arc::new(self.scripts.clone()));
        let recorder = Arc::new(Recorder::new(launcher));
        let recorded = Arc::clone(&recorder);
        let mut builder = Registry::builder();
        for configure in std::mem::take(&mut self.configure) {
            builder = configure(builder);
        }
        let registry = builder
            .launcher(Arc::clone(&recorder) as _)
            .clock(self.clock.clone())
            .on_event(move |event| recorded.add(event))
            .build()?;
        let process = self.process(&registry, &path)?;
        let (stdout, stderr) = (
            MemoryOutputPipe::new(MAX_OUTPUT_BYTES),
            MemoryOutputPipe::new(MAX_OUTPUT_BYTES),
        );
        let mut wasi = self.wasi()?;
        wasi.stdin(MemoryInputPipe::new(std::mem::take(&mut self.stdin)))
            .stdout(stdout.clone())
            .stderr(stderr.clone());
        let wasi = wasi.build();
        (self.link)(&mut linker)?;
        let state = (self.make_state)(Parts { wasi, process });
        let mut store = Store::new(component.engine(), state);
        let result = call(&mut store, &component, &linker).await;
        drop(store);
        registry.shutdown_async(SHUTDOWN_TIMEOUT).await;
        let records = recorder.take();
        let report = Report {
            outcome: Outcome::Exited(0),
            stdout: stdout.contents().to_vec(),
            stderr: stderr.contents().to_vec(),
            children: records.children,
            denials: records.denials,
            quota_refusals: records.quota_refusals,
            failed_launches: records.failed_launches,
            suppressed: records.suppressed,
            faults: self.scripts.faults(),
            events: records.events,
            elapsed: self.clock.now().duration_since(start),
        };
        Ok((report, result))
    }

    fn process(&mut self, registry: &Registry, guest: &Path) -> wasmtime::Result<ProcessCtx> {
        let grants = match std::mem::replace(&mut self.grant, Grant::None) {
            Grant::None => None,
            Grant::Loaded(grants) => Some(grants),
            Grant::File(path) if self.launcher.is_some() => Some(Grants::load(path)?),
            Grant::File(path) => {
                let text = fs::read_to_string(&path)?;
                let path = std::path::absolute(path)?;
                let base = path.parent().unwrap_or(Path::new("/"));
                Some(Grants::from_toml_str_without_programs(&text, base)?)
            }
            Grant::Text(text) => {
                let base = std::path::absolute(self.base.as_deref().unwrap_or(Path::new(".")))?;
                let grants = if self.launcher.is_some() {
                    Grants::from_toml_str(&text, &base)
                } else {
                    Grants::from_toml_str_without_programs(&text, &base)
                };
                Some(grants?)
            }
        };
        let stem = guest.file_stem().unwrap_or_default().to_string_lossy();
        let named = self.component.take();
        let is_named = named.is_some();
        let name = named.unwrap_or_else(|| stem.into_owned());
        let process = ProcessCtx::builder(registry)
            .component(&name)
            .tenant(&self.tenant);
        let Some(grants) = grants else {
            return Ok(process.build());
        };
        let sections: Vec<_> = grants.components().collect();
        let grant = match &sections[..] {
            [only] if !is_named => Arc::clone(only),
            _ => grants.component(&name),
        };
        Ok(process.grant(grant).build())
    }
}

/// Returns the compiled component.
fn component(engine: Option<&Engine>, path: &Path) -> wasmtime::Result<Component> {
    if let Some(engine) = engine {
        return Component::from_file(engine, path);
    }
    let written = fs::metadata(path)
        .and_then(|metadata| metadata.modified())
        .map_err(|error| wasmtime::format_err!("{}: {error}", path.display()))?;
    let key = std::path::absolute(path)?;
    let mut components = COMPONENTS.lock();
    match components.get(&key) {
        Some((other, component)) if *other == written => Ok(component.clone()),
        _ => {
            let component = Component::from_file(&ENGINE, path)?;
            components.insert(key, (written, component.clone()));
            Ok(component)
        }
    }
}

/// Calls the run of a command, by the version of `wasi:cli/run` that it exports.
async fn run_command<T: Send + 'static>(
    store: &mut Store<T>,
    component: &Component,
    linker: &Linker<T>,
) -> wasmtime::Result<Result<(), ()>> {
    let linked = linker.instantiate_pre(component)?;
    // A component that exports both versions is written for the newer one.
    if let Ok(command) = p3::bindings::CommandPre::new(linked.clone()) {
        let command = command.instantiate_async(&mut *store).await?;
        let call = async |store: &_| command.wasi_cli_run().call_run(store).await;
        return store.run_concurrent(call).await?;
    }
    let command = p2::bindings::CommandPre::new(linked)?;
    let command = command.instantiate_async(&mut *store).await?;
    command.wasi_cli_run().call_run(store).await
}

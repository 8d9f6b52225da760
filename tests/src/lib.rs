//! The harness of the end-to-end tests: runs a guest in a host of its own, and
//! reports everything that the guest did.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use capspawn::{
    ChildInfo, Event, Grants, ProcessCtx, ProcessCtxView, ProcessView, Registry, RegistryBuilder,
};
use capspawn_native::sandbox::NativeLauncher;
use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::{Cache, CacheConfig, Config, Engine, Store};
use wasmtime_wasi::p2::pipe::{MemoryInputPipe, MemoryOutputPipe};
use wasmtime_wasi::{I32Exit, WasiCtx, WasiCtxView, WasiView, p2, p3};

include!(concat!(env!("OUT_DIR"), "/guests.rs"));

/// The guide for tests of plugins, whose examples run the guests that the build script has built.
#[cfg(doctest)]
#[doc = include_str!("../../host/TESTING.md")]
#[derive(Debug)]
pub struct TestingGuide;

/// The name under which every guest runs: the section of a test's grant.
pub const COMPONENT: &str = "guest";

/// The most bytes of its own output that a guest may write to each stream.
const GUEST_OUTPUT_BYTES: usize = 4 * 1024 * 1024;

/// A component built by the build script.
#[derive(Debug, Clone, Copy)]
pub struct Guest {
    /// The guest's name, as in `src/bin/NAME.rs`.
    pub name: &'static str,
    /// The compiled component.
    pub path: &'static str,
}

/// The data of a guest's store.
#[derive(Debug)]
pub struct State {
    table: ResourceTable,
    wasi: Wasi,
    /// The guest's authority over child processes.
    pub process: ProcessCtx,
}

impl State {
    /// Returns the data of a new store.
    pub fn new(wasi: WasiCtx, process: ProcessCtx) -> Self {
        Self {
            table: ResourceTable::new(),
            wasi: Wasi(wasi),
            process,
        }
    }
}

/// [`WasiCtx`] has no `Debug`.
struct Wasi(WasiCtx);

impl std::fmt::Debug for Wasi {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Wasi")
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi.0,
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

/// The one engine of a test program. Compiled code is kept between runs.
pub static ENGINE: LazyLock<Engine> = LazyLock::new(|| {
    let mut config = Config::new();
    // Without a cache directory the tests are only slower.
    config.cache(Cache::new(CacheConfig::new()).ok());
    Engine::new(&config).expect("the configuration is valid")
});

/// Everything that a guest may import.
pub static LINKER: LazyLock<Linker<State>> = LazyLock::new(|| {
    let mut linker = Linker::new(&ENGINE);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)
        .and_then(|()| wasmtime_wasi::p3::add_to_linker(&mut linker))
        .and_then(|()| capspawn::p2::add_to_linker(&mut linker))
        .and_then(|()| capspawn::p3::add_to_linker(&mut linker))
        .expect("an empty linker takes them");
    linker
});

static COMPONENTS: LazyLock<Mutex<HashMap<&'static str, Component>>> =
    LazyLock::new(Mutex::default);

impl Guest {
    /// Returns the compiled guest. A test program compiles each guest once.
    pub fn component(&self) -> Component {
        let mut components = COMPONENTS.lock().expect("compiling does not panic");
        components
            .entry(self.path)
            .or_insert_with(|| {
                Component::from_file(&ENGINE, self.path).expect("a guest is a component")
            })
            .clone()
    }
}

/// Returns a registry in the tier that `CAPSPAWN_REQUIRE_TIER` names: where the host
/// does not support that tier, no child starts.
///
/// # Panics
///
/// The value of the variable is not a tier.
pub fn registry() -> RegistryBuilder {
    let mut launcher = NativeLauncher::builder();
    if let Ok(tier) = std::env::var("CAPSPAWN_REQUIRE_TIER") {
        launcher = launcher.tier(tier.parse().expect("CAPSPAWN_REQUIRE_TIER is A, B or C"));
    }
    Registry::builder().launcher(Arc::new(launcher.build()))
}

/// A host with its own registry, whose guest has no grant and no arguments.
#[derive(Debug)]
pub struct TestHost {
    builder: RegistryBuilder,
    events: Arc<Mutex<Vec<Event>>>,
    grants: Option<Grants>,
    args: Vec<String>,
    stdin: Vec<u8>,
    timeout: Duration,
}

impl Default for TestHost {
    fn default() -> Self {
        Self::new()
    }
}

impl TestHost {
    /// Returns a host without a grant. A guest may run for 60 s.
    pub fn new() -> Self {
        let events = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&events);
        Self {
            builder: registry().on_event(move |event| {
                sink.lock()
                    .expect("pushing does not panic")
                    .push(event.clone());
            }),
            events,
            grants: None,
            args: Vec::new(),
            stdin: Vec::new(),
            timeout: Duration::from_secs(60),
        }
    }

    /// Loads the grants. The guest's section is `[component.guest]`.
    ///
    /// # Panics
    ///
    /// The grants do not load.
    #[must_use]
    pub fn grant_toml(mut self, toml: impl AsRef<str>) -> Self {
        let grants = Grants::from_toml_str(toml.as_ref(), Path::new("/"));
        self.grants =
            Some(grants.unwrap_or_else(|error| panic!("the grant does not load: {error}")));
        self
    }

    /// Sets the guest's arguments, after its own name.
    #[must_use]
    pub fn args<S: Into<String>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args = args.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the guest's standard input, which is otherwise empty.
    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    /// Changes the registry's settings.
    #[must_use]
    pub fn registry(mut self, change: impl FnOnce(RegistryBuilder) -> RegistryBuilder) -> Self {
        self.builder = change(self.builder);
        self
    }

    /// Sets the time after which the host drops the guest's call.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Runs a guest to its end.
    ///
    /// # Panics
    ///
    /// The registry does not start, the guest does not link, or a child survives
    /// both its store and the shutdown of the registry.
    pub async fn run(mut self, guest: Guest) -> Report {
        let builder = std::mem::replace(&mut self.builder, registry());
        let registry = builder.build().expect("the registry starts");
        let mut report = self.run_in(&registry, guest).await;
        let clean = registry.shutdown(Duration::from_secs(10));
        report.events = self.events.lock().expect("pushing does not panic").clone();
        assert!(clean, "a child survives the shutdown");
        report
    }

    /// Runs a guest in a store of its own, in a registry that the caller keeps. The
    /// events go where that registry sends them.
    ///
    /// # Panics
    ///
    /// The guest does not link.
    pub async fn run_in(&self, registry: &Registry, guest: Guest) -> Report {
        let mut process = ProcessCtx::builder(registry).component(COMPONENT);
        if let Some(grants) = &self.grants {
            process = process.grant(grants.component(COMPONENT));
        }
        let stdout = MemoryOutputPipe::new(GUEST_OUTPUT_BYTES);
        let stderr = MemoryOutputPipe::new(GUEST_OUTPUT_BYTES);
        let wasi = WasiCtx::builder()
            .arg(guest.name)
            .args(&self.args)
            .stdin(MemoryInputPipe::new(self.stdin.clone()))
            .stdout(stdout.clone())
            .stderr(stderr.clone())
            .build();
        let state = State::new(wasi, process.build());
        let mut store = Store::new(&ENGINE, state);
        let call = call(&mut store, guest);
        let end = match tokio::time::timeout(self.timeout, call).await {
            Err(_) => End::TimedOut,
            Ok(Ok(Ok(()))) => End::Exited(0),
            Ok(Ok(Err(()))) => End::Exited(1),
            Ok(Err(error)) => match error.downcast_ref::<I32Exit>() {
                Some(I32Exit(code)) => End::Exited(*code),
                None => End::Trapped(format!("{error:?}")),
            },
        };
        let left = store.data().process.live();
        // Children that this kills end as `released`; the shutdown's end as `host`.
        drop(store);
        Report {
            guest,
            end,
            stdout: String::from_utf8_lossy(&stdout.contents()).into_owned(),
            stderr: String::from_utf8_lossy(&stderr.contents()).into_owned(),
            left,
            events: Vec::new(),
        }
    }
}

/// Calls the guest's `run`, in the version of WASI that the guest exports.
async fn call(store: &mut Store<State>, guest: Guest) -> wasmtime::Result<Result<(), ()>> {
    const LINKS: &str = "a guest links, whatever its grant allows";
    let component = guest.component();
    if component
        .get_export_index(None, "wasi:cli/run@0.3.0")
        .is_none()
    {
        let command = p2::bindings::Command::instantiate_async(&mut *store, &component, &LINKER);
        let command = command.await.expect(LINKS);
        return command.wasi_cli_run().call_run(store).await;
    }
    let command = p3::bindings::Command::instantiate_async(&mut *store, &component, &LINKER);
    let command = command.await.expect(LINKS);
    store
        .run_concurrent(async |store| command.wasi_cli_run().call_run(store).await)
        .await?
}

/// How a guest ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// The guest exited with this code.
    Exited(i32),
    /// The guest trapped; this describes the trap.
    Trapped(String),
    /// The host dropped the call after its timeout.
    TimedOut,
}

/// What a guest did. It is printed if the test that holds it panics.
#[derive(Debug)]
pub struct Report {
    /// The guest that ran.
    pub guest: Guest,
    /// How the guest ended.
    pub end: End,
    /// The guest's standard output.
    pub stdout: String,
    /// The guest's standard error.
    pub stderr: String,
    /// The children that still ran when the guest ended.
    pub left: Vec<ChildInfo>,
    /// The registry's events, those of its shutdown included.
    pub events: Vec<Event>,
}

impl Report {
    /// Asserts that the guest exited with `code`.
    ///
    /// # Panics
    ///
    /// The guest ended in another way.
    #[track_caller]
    pub fn assert_exit(&self, code: i32) -> &Self {
        assert_eq!(self.end, End::Exited(code), "{}", self.stderr);
        self
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{self:#?}");
        }
    }
}

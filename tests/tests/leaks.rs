//! Whatever a guest or its host does, no process, no descriptor and no slot of a
//! child is left: every way to end with every kind of tree, in both versions.
//!
//! One test, one cell after the other: descriptors belong to the whole process.

#![expect(clippy::disallowed_types, reason = "a test runs itself again")]

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process;
use std::sync::LazyLock;
use std::thread;
use std::time::{Duration, Instant};

use capspawn::{Grants, ProcessCtx, Registry};
use e2e::{COMPONENT, State, guests};
use tokio::runtime::Runtime;

use wasmtime::component::{Component, Linker};
use wasmtime::{Cache, CacheConfig, Config, Engine, Store, UpdateDeadline};
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;
use wasmtime_wasi::{WasiCtx, p2, p3};

#[path = "../../host/native/tests/registry/trees.rs"]
mod trees;

use trees::{TREES, Tree, children, descriptors, grant_toml, processes};

/// Longer than anything here takes on a slow machine, short enough to fail.
const PATIENCE: Duration = Duration::from_secs(60);

/// Tells a copy of this program to be a host, and of which tree.
const KILLED_HOST: &str = "CAPSPAWN_TEST_KILLED_HOST";

/// A way to end: what the guest does, and what its host does.
struct Ending {
    name: &'static str,
    guest: &'static str,
    host: fn(Host, &Cell),
}

const ENDINGS: [Ending; 9] = [
    ending("guest drops", "drop", guest_drops),
    ending("guest forgets", "forget", guest_forgets),
    ending("guest traps", "trap", guest_traps),
    ending("guest times out", "spin", guest_times_out),
    ending("store dropped", "wait", store_dropped),
    ending("into_data", "wait", into_data),
    ending("call future dropped", "wait", call_dropped),
    ending("caller's runtime dropped", "wait", runtime_dropped),
    ending("dropped on a thread without tokio", "wait", thread_drops),
];

const fn ending(name: &'static str, guest: &'static str, host: fn(Host, &Cell)) -> Ending {
    Ending { name, guest, host }
}

/// Which version of the interface the guest uses.
#[derive(Debug, Clone, Copy)]
enum Version {
    P2,
    P3,
}

/// What the guests import, and the guest of each version.
struct Imports {
    linker: Linker<State>,
    p2: Component,
    p3: Component,
}

/// An engine that interrupts guests.
static IMPORTS: LazyLock<Imports> = LazyLock::new(|| {
    let mut config = Config::new();
    config.epoch_interruption(true);
    config.cache(Cache::new(CacheConfig::new()).ok());
    let engine = Engine::new(&config).expect("the configuration is valid");
    let mut linker = Linker::new(&engine);
    p2::add_to_linker_async(&mut linker)
        .and_then(|()| capspawn::p2::add_to_linker(&mut linker))
        .and_then(|()| p3::add_to_linker(&mut linker))
        .and_then(|()| capspawn::p3::add_to_linker(&mut linker))
        .expect("an empty linker takes them");
    let component = |path| Component::from_file(&engine, path).expect("a guest is a component");
    let p2 = component(guests::LEAVES_CHILD.path);
    let p3 = component(guests::P3_LEAVES_CHILD.path);
    let clock = engine.weak();
    thread::spawn(move || {
        while let Some(engine) = clock.upgrade() {
            engine.increment_epoch();
            thread::sleep(Duration::from_millis(5));
        }
    });
    Imports { linker, p2, p3 }
});

/// One combination.
struct Cell {
    version: Version,
    tree: Tree,
    marker: String,
    registry: Registry,
}

impl Cell {
    fn new(version: Version, tree: Tree, marker: String) -> Self {
        let registry = e2e::registry().build().expect("the registry starts");
        Self {
            version,
            tree,
            marker,
            registry,
        }
    }

    /// The tree runs: what is to end it has not done so yet.
    #[track_caller]
    fn assert_runs(&self) {
        // Not at every instant: who executes another program just then has no environment.
        eventually("a process", || {
            !self.tree.stays || !processes(&self.marker).is_empty()
        });
    }

    #[track_caller]
    fn assert_ends(&self) {
        eventually("no process", || processes(&self.marker).is_empty());
    }
}

/// Waits until `condition` holds, and fails where it does not.
#[track_caller]
fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "never came: {what}");
        thread::yield_now();
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime")
}

/// A guest, ready to be called.
enum Command {
    P2(p2::bindings::Command),
    P3(p3::bindings::Command),
}

impl Command {
    async fn instantiate(version: Version, store: &mut Store<State>) -> wasmtime::Result<Self> {
        let Imports { linker, p2, p3 } = &*IMPORTS;
        match version {
            Version::P2 => p2::bindings::Command::instantiate_async(store, p2, linker)
                .await
                .map(Self::P2),
            Version::P3 => p3::bindings::Command::instantiate_async(store, p3, linker)
                .await
                .map(Self::P3),
        }
    }

    async fn run(&self, store: &mut Store<State>) -> wasmtime::Result<Result<(), ()>> {
        match self {
            Self::P2(command) => command.wasi_cli_run().call_run(store).await,
            Self::P3(command) => {
                let call = async |store: &_| command.wasi_cli_run().call_run(store).await;
                store.run_concurrent(call).await?
            }
        }
    }
}

/// A store with its guest, before the call.
struct Host {
    store: Store<State>,
    command: Command,
    stdout: MemoryOutputPipe,
    runtime: Runtime,
}

impl Host {
    fn new(cell: &Cell, guest: &str) -> Self {
        let toml = grant_toml(COMPONENT, &cell.marker, "");
        let grants = Grants::from_toml_str(&toml, Path::new("/")).expect("the grant loads");
        let process = ProcessCtx::builder(&cell.registry).grant(grants.component(COMPONENT));
        let stdout = MemoryOutputPipe::new(1 << 20);
        let wasi = WasiCtx::builder()
            .args(&["leaves-child", guest, cell.tree.script])
            .stdout(stdout.clone())
            .build();
        let engine = IMPORTS.linker.engine();
        let mut store = Store::new(engine, State::new(wasi, process.build()));
        store.epoch_deadline_callback(|_| {
            let pause = Box::pin(tokio::task::yield_now());
            Ok(UpdateDeadline::YieldCustom(1, pause))
        });
        let runtime = runtime();
        let command = runtime
            .block_on(Command::instantiate(cell.version, &mut store))
            .expect("the guest links");
        Self {
            store,
            command,
            stdout,
            runtime,
        }
    }

    /// Calls the guest to its end.
    fn call(&mut self) -> wasmtime::Result<Result<(), ()>> {
        let call = self.command.run(&mut self.store);
        self.runtime.block_on(call)
    }

    /// Calls the guest, and drops the call once it holds its tree.
    fn abandon_call(&mut self) {
        let call = self.command.run(&mut self.store);
        let stdout = self.stdout.clone();
        self.runtime.block_on(async {
            tokio::select! {
                result = call => panic!("the guest returned: {result:?}"),
                () = holds(&stdout) => {}
            }
        });
    }
}

/// Waits until the guest says that it goes on to its ending.
async fn holds(stdout: &MemoryOutputPipe) {
    let said = async {
        while stdout.contents().is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let said = tokio::time::timeout(PATIENCE, said).await;
    said.expect("the guest has its tree");
}

fn guest_drops(mut host: Host, cell: &Cell) {
    assert!(matches!(host.call(), Ok(Ok(()))));
    cell.assert_ends();
    eventually("no slot", || cell.registry.is_empty());
}

fn guest_forgets(mut host: Host, cell: &Cell) {
    assert!(matches!(host.call(), Ok(Ok(()))));
    cell.assert_runs();
    drop(host.store);
}

fn guest_traps(mut host: Host, cell: &Cell) {
    host.call().expect_err("it traps");
    cell.assert_runs();
    drop(host.store);
}

fn guest_times_out(mut host: Host, cell: &Cell) {
    host.abandon_call();
    cell.assert_runs();
    drop(host.store);
}

fn store_dropped(mut host: Host, cell: &Cell) {
    host.abandon_call();
    cell.assert_runs();
    let _entered = host.runtime.enter();
    drop(host.store);
}

fn into_data(mut host: Host, cell: &Cell) {
    host.abandon_call();
    let data = host.store.into_data();
    cell.assert_runs();
    drop(data);
}

fn call_dropped(mut host: Host, cell: &Cell) {
    host.abandon_call();
    cell.assert_runs();
    host.store.data().process.kill_all();
    cell.assert_ends();
    eventually("nothing live", || {
        host.store.data().process.live().is_empty()
    });
    drop(host.store);
}

fn runtime_dropped(host: Host, cell: &Cell) {
    let Host {
        mut store,
        command,
        stdout,
        runtime,
    } = host;
    runtime.spawn(async move { command.run(&mut store).await });
    runtime.block_on(holds(&stdout));
    cell.assert_runs();
    drop(runtime);
}

fn thread_drops(mut host: Host, cell: &Cell) {
    host.abandon_call();
    cell.assert_runs();
    let store = host.store;
    let dropped = thread::spawn(move || drop(store));
    dropped.join().expect("a drop does not panic");
}

/// Runs one cell; afterwards nothing of it is left.
fn check(version: Version, tree: Tree, ending: &Ending) {
    let number = process::id();
    let marker = format!("{number}-{version:?}-{}-{}", tree.name, ending.name);
    let cell = Cell::new(version, tree, marker.replace([' ', '\''], "-"));
    (ending.host)(Host::new(&cell, ending.guest), &cell);
    cell.assert_ends();
    eventually("no slot", || cell.registry.is_empty());
    assert!(cell.registry.shutdown(PATIENCE));
}

#[test]
fn nothing_is_left_of_any_tree_whatever_ends_it() {
    // What a process opens once and keeps.
    check(Version::P2, TREES[0], &ENDINGS[0]);
    check(Version::P3, TREES[0], &ENDINGS[0]);
    eventually("no child", || children() == 0);
    let before = descriptors();
    for version in [Version::P2, Version::P3] {
        for ending in &ENDINGS {
            for tree in TREES {
                let started = Instant::now();
                check(version, tree, ending);
                eventually("no zombie", || children() == 0);
                eventually("no descriptor", || descriptors() <= before);
                let (ending, tree) = (ending.name, tree.name);
                eprintln!("{version:?}, {ending}, {tree}: {:?}", started.elapsed());
            }
        }
    }
    nothing_is_left_when_the_host_is_killed();
}

/// The last row: the host gets SIGKILL.
fn nothing_is_left_when_the_host_is_killed() {
    let own = std::env::current_exe().expect("this test is a program");
    let versions = [Version::P2, Version::P3];
    let cells = TREES.iter().enumerate();
    for ((index, tree), version) in cells.flat_map(|cell| versions.map(|version| (cell, version))) {
        let marker = format!("killed-{}-{version:?}-{index}", process::id());
        let mut host = process::Command::new(&own)
            .args(["--exact", "the_host_that_is_killed", "--nocapture"])
            .env(KILLED_HOST, format!("{index} {version:?} {marker}"))
            .stdout(process::Stdio::piped())
            .spawn()
            .expect("it starts");
        let stdout = BufReader::new(host.stdout.take().expect("piped"));
        let mut lines = stdout.lines().map(|line| line.expect("text"));
        let holds = lines.any(|line| line.ends_with("holds"));
        assert!(holds, "{}: the host failed", tree.name);
        eventually(tree.name, || !tree.stays || !processes(&marker).is_empty());
        host.kill().expect("it runs");
        host.wait().expect("it was killed");
        eventually(tree.name, || processes(&marker).is_empty());
    }
}

/// Not a test but the host of the one above, where that is wanted.
#[test]
fn the_host_that_is_killed() {
    let Ok(order) = std::env::var(KILLED_HOST) else {
        return;
    };
    let mut words = order.splitn(3, ' ');
    let mut word = || words.next().expect("INDEX VERSION MARKER");
    let (index, version, marker) = (word(), word(), word());
    let version = match version {
        "P3" => Version::P3,
        _ => Version::P2,
    };
    let tree = TREES[index.parse::<usize>().expect("a number")];
    let cell = Cell::new(version, tree, marker.to_owned());
    let mut host = Host::new(&cell, "wait");
    host.abandon_call();
    println!("\nholds");
    // Not for ever: who is to kill it may have been killed itself.
    thread::park_timeout(PATIENCE);
}

//! However a guest or its host ends, no process, no descriptor and no slot of a
//! child is left. The test covers every way to end, with every kind of process
//! tree, in both versions of the interface.
//!
//! It is one test that runs each combination after the other, because it counts
//! the descriptors of the whole process. The ways that need no guest are in
//! `host/native/tests/registry/leak_matrix.rs`.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process;
use std::sync::LazyLock;
use std::thread;
use std::time::{Duration, Instant};

use capspawn::{Grants, ProcessCtx, Registry};
use e2e::{COMPONENT, State, guests};
use test_kit::{
    TEST_TIMEOUT, TREES, Tree, children, descriptors, eventually, grant_toml, processes, rerun,
};
use tokio::runtime::Runtime;
use wasmtime::component::{Component, Linker};
use wasmtime::{Cache, CacheConfig, Config, Engine, Store, UpdateDeadline};
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;
use wasmtime_wasi::{WasiCtx, p2, p3};

/// Makes a second run of this program the host of the tree that it names.
const KILLED_HOST: &str = "CAPSPAWN_TEST_KILLED_HOST";

/// A way to end: the argument that makes the guest do its part, and the part of the host.
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

/// The version of the interface that a guest uses.
#[derive(Debug, Clone, Copy)]
enum Version {
    P2,
    P3,
}

/// The imports of the guests, and the guest of each version.
struct Imports {
    linker: Linker<State>,
    p2: Component,
    p3: Component,
}

/// For an engine that interrupts a guest every 5 ms, so that one that computes can be dropped.
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
        .expect("the linker is empty");
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

/// One combination of a version and a tree.
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

    /// Asserts that the tree still runs.
    #[track_caller]
    fn assert_runs(&self) {
        // A process has no environment at the instant in which it executes another program.
        eventually("a process of the tree", || {
            !self.tree.stays || !processes(&self.marker).is_empty()
        });
    }

    /// Waits until no process of the tree is left.
    #[track_caller]
    fn assert_ends(&self) {
        eventually("the end of the tree", || processes(&self.marker).is_empty());
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("the runtime starts")
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

    /// Calls the guest, and waits until it returns.
    fn call(&mut self) -> wasmtime::Result<Result<(), ()>> {
        let call = self.command.run(&mut self.store);
        self.runtime.block_on(call)
    }

    /// Calls the guest, and drops the call once its tree runs.
    fn abandon_call(&mut self) {
        let call = self.command.run(&mut self.store);
        let stdout = self.stdout.clone();
        self.runtime.block_on(async {
            tokio::select! {
                result = call => panic!("the guest returned: {result:?}"),
                () = tree_runs(&stdout) => {}
            }
        });
    }
}

/// Waits until the guest prints that its tree runs.
async fn tree_runs(stdout: &MemoryOutputPipe) {
    let printed = async {
        while stdout.contents().is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let printed = tokio::time::timeout(TEST_TIMEOUT, printed).await;
    printed.expect("the tree of the guest runs");
}

fn guest_drops(mut host: Host, cell: &Cell) {
    assert!(matches!(host.call(), Ok(Ok(()))));
    cell.assert_ends();
    eventually("a free slot", || cell.registry.is_empty());
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
    eventually("a list of live children that is empty", || {
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
    runtime.block_on(tree_runs(&stdout));
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

/// Runs one combination with one way to end, and asserts that nothing is left.
fn check(version: Version, tree: Tree, ending: &Ending) {
    let number = process::id();
    let marker = format!("{number}-{version:?}-{}-{}", tree.name, ending.name);
    let cell = Cell::new(version, tree, marker.replace([' ', '\''], "-"));
    (ending.host)(Host::new(&cell, ending.guest), &cell);
    cell.assert_ends();
    eventually("a free slot", || cell.registry.is_empty());
    assert!(cell.registry.shutdown(TEST_TIMEOUT));
}

#[test]
fn nothing_is_left_of_any_tree_however_it_ends() {
    // The first guest of each version opens files that the process keeps.
    check(Version::P2, TREES[0], &ENDINGS[0]);
    check(Version::P3, TREES[0], &ENDINGS[0]);
    eventually("no child", || children().is_empty());
    let before = descriptors();
    for version in [Version::P2, Version::P3] {
        for ending in &ENDINGS {
            for tree in TREES {
                let started = Instant::now();
                check(version, tree, ending);
                eventually("no zombie", || children().is_empty());
                eventually("no descriptor", || descriptors() <= before);
                let (ending, tree) = (ending.name, tree.name);
                eprintln!("{version:?}, {ending}, {tree}: {:?}", started.elapsed());
            }
        }
    }
    nothing_is_left_when_the_host_is_killed();
}

/// One more way to end: the host is killed by `SIGKILL`.
fn nothing_is_left_when_the_host_is_killed() {
    let versions = [Version::P2, Version::P3];
    let cells = TREES.iter().enumerate();
    for ((index, tree), version) in cells.flat_map(|cell| versions.map(|version| (cell, version))) {
        let marker = format!("killed-{}-{version:?}-{index}", process::id());
        let mut host = rerun("the_host_that_is_killed")
            .env(KILLED_HOST, format!("{index} {version:?} {marker}"))
            .stdout(process::Stdio::piped())
            .spawn()
            .expect("it starts");
        let stdout = BufReader::new(host.stdout.take().expect("it is a pipe"));
        let mut lines = stdout.lines().map(|line| line.expect("the output is text"));
        let runs = lines.any(|line| line == "the tree runs");
        assert!(runs, "{}: the host failed", tree.name);
        eventually(tree.name, || !tree.stays || !processes(&marker).is_empty());
        host.kill().expect("it runs");
        host.wait().expect("it was killed");
        eventually(tree.name, || processes(&marker).is_empty());
    }
}

/// Not a test, but the host of the one above.
#[test]
fn the_host_that_is_killed() {
    let Ok(words) = std::env::var(KILLED_HOST) else {
        return;
    };
    let mut words = words.splitn(3, ' ');
    let mut word = || words.next().expect("INDEX VERSION MARKER");
    let (index, version, marker) = (word(), word(), word());
    let version = match version {
        "P3" => Version::P3,
        _ => Version::P2,
    };
    let tree = TREES[index.parse::<usize>().expect("INDEX is a number")];
    let cell = Cell::new(version, tree, marker.to_owned());
    let mut host = Host::new(&cell, "wait");
    host.abandon_call();
    println!("\nthe tree runs");
    // Not for ever: the test that kills this process may have been killed itself.
    thread::park_timeout(TEST_TIMEOUT);
}

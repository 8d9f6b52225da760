//! The host methods of version 0.3, in a store without a guest.

use std::future::poll_fn;
use std::path::Path;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use capspawn_native::{Grants, Registry};
use wasmtime::component::{Accessor, Linker, Resource, ResourceTable};
use wasmtime::{Engine, Store};

use super::bindings::{run, spawn, types};
use super::{Child, SpawnOptions};
use crate::{ErrorCode, Process, ProcessCtx, ProcessCtxView, ProcessError, ProcessView};
use run::HostWithStore as _;
use spawn::{HostChild, HostChildWithStore};
use types::HostSpawnOptions;

const GRANT: &str = r#"
    version = 1

    [component.test]
    sandbox = "none"

    [[component.test.command]]
    name = "sh"
    program = "/bin/sh"
    args = ["-c", "*"]
    interpreter = true
"#;

struct State {
    ctx: ProcessCtx,
    table: ResourceTable,
}

impl ProcessView for State {
    fn process(&mut self) -> ProcessCtxView<'_> {
        ProcessCtxView {
            ctx: &mut self.ctx,
            table: &mut self.table,
        }
    }
}

type View = Accessor<State, Process>;

/// Runs `test` with an empty store, and shuts the registry down afterwards.
async fn in_store<R>(test: impl AsyncFnOnce(&View) -> R) -> R {
    let registry = Registry::builder().build().expect("a registry starts");
    let grants = Grants::from_toml_str(GRANT, Path::new("/")).expect("the grant loads");
    let ctx = ProcessCtx::builder(&registry)
        .grant(grants.component("test"))
        .build();
    let table = ResourceTable::new();
    let mut store = Store::new(&Engine::default(), State { ctx, table });
    let result = store
        .run_concurrent(async |store| test(&store.with_getter::<Process>(State::process)).await)
        .await
        .expect("no task traps");
    drop(store);
    assert!(registry.shutdown(Duration::from_secs(10)));
    result
}

fn script(text: &str) -> (String, Vec<String>) {
    ("sh".to_owned(), vec!["-c".to_owned(), text.to_owned()])
}

async fn shell(store: &View, text: &str) -> Resource<Child> {
    let (program, args) = script(text);
    let child = <Process as HostChildWithStore<State>>::spawn(store, program, args, None).await;
    child.expect("the grant allows it")
}

async fn wait(
    store: &View,
    child: &Resource<Child>,
    timeout: Option<u64>,
) -> Option<types::ExitStatus> {
    let status = <Process as HostChildWithStore<State>>::wait(store, borrow(child), timeout);
    status.await.expect("the handle is in the table")
}

/// Returns the borrowed handle that a guest passes to a call.
fn borrow<T: 'static>(resource: &Resource<T>) -> Resource<T> {
    Resource::new_borrow(resource.rep())
}

/// Polls a call once, and drops it.
async fn cancel<T>(call: impl Future<Output = T>) {
    let mut call = pin!(call);
    let pending = poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx).is_pending()));
    assert!(pending.await, "the call waits");
}

#[track_caller]
fn code<T>(result: Result<T, ProcessError>) -> ErrorCode {
    match result {
        Err(ProcessError::Code(code)) => code,
        Err(ProcessError::Trap(error)) => panic!("expected an error code, got a trap: {error}"),
        Ok(_) => panic!("expected an error code, got success"),
    }
}

#[tokio::test]
async fn usage_has_the_processor_time_of_an_ended_child() {
    in_store(async |store| {
        let child = shell(store, "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done").await;
        wait(store, &child, None).await;
        let usage = store.with(|mut access| HostChild::usage(&mut access.get(), borrow(&child)));
        let usage = usage.expect("the handle is in the table");
        assert!(usage.cpu_time > Some(0), "{usage:?}");
    })
    .await;
}

#[tokio::test]
async fn run_collects_both_streams() {
    in_store(async |store| {
        let (program, args) = script("echo out; echo err >&2; exit 3");
        let output = Process::run(store, program, args, None).await.unwrap();
        assert!(matches!(output.status, types::ExitStatus::Exited(3)));
        assert_eq!(output.stdout.data, b"out\n");
        assert_eq!(output.stderr.data, b"err\n");
    })
    .await;
}

#[tokio::test]
async fn run_refuses_pipes_before_anything_starts() {
    in_store(async |store| {
        let options: Resource<SpawnOptions> = store.with(|mut store| {
            let mut view = store.get();
            let options = HostSpawnOptions::new(&mut view).unwrap();
            HostSpawnOptions::set_stdout(&mut view, borrow(&options), types::Stdio::Piped).unwrap();
            options
        });
        let (program, args) = script("true");
        let refused = Process::run(store, program, args, Some(options)).await;
        assert_eq!(code(refused), ErrorCode::InvalidArgument);
        store.with(|mut store| assert!(store.get().ctx.live().is_empty()));
    })
    .await;
}

#[tokio::test]
async fn the_store_is_free_while_calls_wait() {
    in_store(async |store| {
        let child = shell(store, "sleep 300").await;
        let kill = async {
            store.with(|mut store| {
                HostChild::kill(&mut store.get(), borrow(&child), 0).unwrap();
            });
        };
        let (first, second, ()) =
            tokio::join!(wait(store, &child, None), wait(store, &child, None), kill);
        assert!(first.is_some() && second.is_some());
    })
    .await;
}

#[tokio::test]
async fn a_cancelled_wait_loses_nothing() {
    in_store(async |store| {
        let child = shell(store, "sleep 300").await;
        cancel(wait(store, &child, None)).await;
        assert!(wait(store, &child, Some(0)).await.is_none());
        store.with(|mut store| {
            let hangup = types::Signal::Hangup;
            HostChild::signal(&mut store.get(), borrow(&child), hangup).unwrap();
        });
        for _ in 0..2 {
            let status = wait(store, &child, None).await;
            let hangup = types::Kill {
                reason: types::KillReason::Requested,
                signal: Some(1),
            };
            assert_eq!(
                format!("{status:?}"),
                format!("{:?}", Some(types::ExitStatus::Killed(hangup)))
            );
        }
    })
    .await;
}

#[tokio::test]
async fn a_cancelled_run_kills_its_child() {
    in_store(async |store| {
        let (program, args) = script("sleep 300");
        cancel(Process::run(store, program, args, None)).await;
        tokio::time::timeout(Duration::from_secs(10), async {
            while store.with(|mut store| !store.get().ctx.live().is_empty()) {
                tokio::task::yield_now().await;
            }
        })
        .await
        .expect("the drop kills the child");
    })
    .await;
}

#[tokio::test]
async fn release_returns_how_the_child_ended_and_empties_the_table() {
    in_store(async |store| {
        let child = shell(store, "exit 4").await;
        wait(store, &child, None).await;
        let status = <Process as HostChildWithStore<State>>::release(store, child).await;
        assert!(matches!(status, Ok(types::ExitStatus::Exited(4))));
        store.with(|mut store| assert!(store.get().table.is_empty()));
    })
    .await;
}

#[test]
fn both_versions_fit_in_one_linker() {
    let mut linker = Linker::<State>::new(&Engine::default());
    crate::p2::add_to_linker(&mut linker).expect("the linker is empty");
    super::add_to_linker(&mut linker).expect("the versions are different interfaces");
    let again = super::add_to_linker(&mut linker);
    assert!(again.is_err(), "the interface is in the linker already");
}

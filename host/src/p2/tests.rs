//! The host methods of version 0.2, without WebAssembly.

use std::path::Path;
use std::time::Duration;

use capspawn_native::{DeniedItem, Grants, Registry};
use wasmtime::component::{Resource, ResourceTable};
use wasmtime_wasi::p2::bindings::io::streams::{HostInputStream, HostOutputStream};

use super::SpawnOptions;
use super::bindings::{run, spawn, types};
use crate::ctx::MAX_OPTIONS_BYTES;
use crate::{ErrorCode, ProcessCtx, ProcessCtxView, ProcessError};
use run::Host as _;
use spawn::{Host as _, HostChild};
use types::HostSpawnOptions;

pub(super) const GRANT: &str = r#"
    version = 1

    [component.test]
    sandbox = "none"

    [[component.test.command]]
    name = "sh"
    program = "/bin/sh"
    args = ["-c", "*"]
    interpreter = true

    [[component.test.command]]
    name = "sleep"
    program = "/bin/sleep"
    args = ["*"]
"#;

/// The data of a store, and the registry.
struct Guest {
    registry: Registry,
    ctx: ProcessCtx,
    table: ResourceTable,
}

impl Guest {
    fn new() -> Self {
        let registry = Registry::builder().build().expect("a registry starts");
        let grants = Grants::from_toml_str(GRANT, Path::new("/")).expect("the grant loads");
        let ctx = ProcessCtx::builder(&registry)
            .grant(grants.component("test"))
            .build();
        let table = ResourceTable::new();
        Self {
            registry,
            ctx,
            table,
        }
    }

    fn view(&mut self) -> ProcessCtxView<'_> {
        ProcessCtxView {
            ctx: &mut self.ctx,
            table: &mut self.table,
        }
    }

    fn options(&mut self) -> Resource<SpawnOptions> {
        HostSpawnOptions::new(&mut self.view()).expect("the table has room")
    }

    async fn sleep(&mut self) -> Resource<super::Child> {
        let args = vec!["30".to_owned()];
        let child = HostChild::spawn(&mut self.view(), "sleep".to_owned(), args, None).await;
        child.expect("the grant allows it")
    }
}

/// Returns the borrowed handle that a guest passes to a call.
fn borrow<T: 'static>(resource: &Resource<T>) -> Resource<T> {
    Resource::new_borrow(resource.rep())
}

fn script(text: &str) -> (String, Vec<String>) {
    ("sh".to_owned(), vec!["-c".to_owned(), text.to_owned()])
}

#[track_caller]
fn code<T: std::fmt::Debug>(result: Result<T, ProcessError>) -> ErrorCode {
    match result {
        Err(ProcessError::Code(code)) => code,
        other => panic!("expected an error code, got {other:?}"),
    }
}

#[tokio::test]
async fn run_collects_both_streams() {
    let mut guest = Guest::new();
    let (program, args) = script("cat; echo err >&2; exit 3");
    let options = guest.options();
    let stdin = types::Stdin::Bytes(b"in".to_vec());
    HostSpawnOptions::set_stdin(&mut guest.view(), borrow(&options), stdin).unwrap();
    let output = guest
        .view()
        .run(program, args, Some(borrow(&options)))
        .await
        .unwrap();
    assert!(matches!(output.status, types::ExitStatus::Exited(3)));
    assert_eq!(output.stdout.data, b"in");
    assert_eq!(output.stderr.data, b"err\n");
    assert!(output.stdout.complete && output.stderr.complete);
    assert!(guest.ctx.live().is_empty());
}

#[tokio::test]
async fn usage_has_the_processor_time_of_an_ended_child() {
    let mut guest = Guest::new();
    let (program, args) = script("i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done");
    let child = HostChild::spawn(&mut guest.view(), program, args, None).await;
    let child = child.expect("the grant allows it");
    HostChild::wait(&mut guest.view(), borrow(&child), None)
        .await
        .unwrap();
    let usage = HostChild::usage(&mut guest.view(), borrow(&child)).unwrap();
    assert!(usage.cpu_time > Some(0), "{usage:?}");
}

#[tokio::test]
async fn without_a_grant_everything_is_denied() {
    let registry = Registry::builder().build().unwrap();
    let mut ctx = ProcessCtx::builder(&registry).component("unknown").build();
    let mut table = ResourceTable::new();
    let (program, args) = script("true");
    let mut view = ProcessCtxView {
        ctx: &mut ctx,
        table: &mut table,
    };
    let denied = code(view.run(program, args, None).await);
    assert_eq!(denied, ErrorCode::AccessDenied(DeniedItem::Program));
}

#[tokio::test]
async fn a_pollable_and_its_child_may_be_dropped_in_any_order() {
    for child_first in [true, false] {
        let mut guest = Guest::new();
        let child = guest.sleep().await;
        let mut view = guest.view();
        let pollable = HostChild::subscribe(&mut view, borrow(&child)).unwrap();
        if child_first {
            HostChild::drop(&mut view, child).unwrap();
            drop_pollable(&mut view, pollable);
        } else {
            drop_pollable(&mut view, pollable);
            HostChild::drop(&mut view, child).unwrap();
        }
        assert!(guest.table.is_empty());
        assert!(guest.registry.shutdown(Duration::from_secs(10)));
    }
}

fn drop_pollable(
    view: &mut ProcessCtxView<'_>,
    pollable: Resource<wasmtime_wasi::p2::DynPollable>,
) {
    use wasmtime_wasi::p2::bindings::io::poll::HostPollable;
    HostPollable::drop(view.table, pollable).unwrap();
}

#[tokio::test]
async fn a_pollable_is_ready_once_its_dropped_child_is_gone() {
    use wasmtime_wasi::p2::bindings::io::poll::HostPollable;

    let mut guest = Guest::new();
    let child = guest.sleep().await;
    let pollable = HostChild::subscribe(&mut guest.view(), borrow(&child)).unwrap();
    assert!(
        !HostPollable::ready(&mut guest.table, borrow(&pollable))
            .await
            .unwrap()
    );
    HostChild::drop(&mut guest.view(), child).unwrap();
    let ready = HostPollable::block(&mut guest.table, borrow(&pollable));
    tokio::time::timeout(Duration::from_secs(10), ready)
        .await
        .expect("the drop kills the child")
        .unwrap();
}

#[tokio::test]
async fn dropping_the_table_kills() {
    let mut guest = Guest::new();
    let _child = guest.sleep().await;
    assert_eq!(guest.ctx.live().len(), 1);
    drop(guest.table);
    tokio::time::timeout(Duration::from_secs(10), async {
        while !guest.ctx.live().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .expect("the drop kills the child");
}

#[tokio::test]
async fn a_cancelled_run_kills_its_child() {
    let mut guest = Guest::new();
    let args = vec!["30".to_owned()];
    let call = tokio::time::timeout(
        Duration::from_millis(200),
        run::Host::run(&mut guest.view(), "sleep".to_owned(), args, None),
    )
    .await;
    assert!(call.is_err(), "the program runs longer than the call");
    assert!(guest.registry.shutdown(Duration::from_secs(10)));
    assert!(guest.ctx.live().is_empty());
}

#[tokio::test]
async fn wait_returns_after_its_timeout_and_the_child_continues() {
    let mut guest = Guest::new();
    let child = guest.sleep().await;
    let mut view = guest.view();
    let status = HostChild::wait(&mut view, borrow(&child), Some(20_000_000))
        .await
        .unwrap();
    assert!(status.is_none());
    HostChild::kill(&mut view, borrow(&child), 0).unwrap();
    let status = HostChild::wait(&mut view, borrow(&child), None)
        .await
        .unwrap();
    let requested = killed(types::KillReason::Requested);
    assert_eq!(format!("{status:?}"), format!("{:?}", Some(requested)));
    let status = HostChild::release(&mut view, child).await.unwrap();
    assert_eq!(format!("{status:?}"), format!("{requested:?}"));
    assert!(guest.table.is_empty());
}

#[tokio::test]
async fn the_timeout_counts_in_nanoseconds() {
    let mut guest = Guest::new();
    let options = guest.options();
    let mut view = guest.view();
    HostSpawnOptions::set_timeout(&mut view, borrow(&options), 50_000_000).unwrap();
    let args = vec!["30".to_owned()];
    let output = view
        .run("sleep".to_owned(), args, Some(options))
        .await
        .unwrap();
    let timeout = killed(types::KillReason::Timeout);
    assert_eq!(format!("{:?}", output.status), format!("{timeout:?}"));
}

#[tokio::test]
async fn run_refuses_pipes_and_spawn_returns_each_once() {
    let mut guest = Guest::new();
    let options = guest.options();
    let mut view = guest.view();
    HostSpawnOptions::set_stdin(&mut view, borrow(&options), types::Stdin::Piped).unwrap();
    HostSpawnOptions::set_stdout(&mut view, borrow(&options), types::Stdio::Piped).unwrap();
    let (program, args) = script("cat");
    let ran = view
        .run(program.clone(), args.clone(), Some(borrow(&options)))
        .await;
    assert_eq!(code(ran), ErrorCode::InvalidArgument);
    assert!(guest.registry.is_empty());

    let mut view = guest.view();
    let child = HostChild::spawn(&mut view, program, args, Some(options)).await;
    let child = child.expect("the grant allows it");
    let stdin = HostChild::take_stdin(&mut view, borrow(&child)).expect("piped");
    let stdout = HostChild::take_stdout(&mut view, borrow(&child)).expect("piped");
    let again = HostChild::take_stdin(&mut view, borrow(&child));
    assert_eq!(code(again.map(|_| ())), ErrorCode::InvalidState);
    let again = HostChild::take_stdout(&mut view, borrow(&child));
    assert_eq!(code(again.map(|_| ())), ErrorCode::InvalidState);
    let captured = HostChild::take_stderr(&mut view, borrow(&child));
    assert_eq!(code(captured.map(|_| ())), ErrorCode::InvalidState);

    // The child is dropped before its streams: the table does not tie them together.
    HostChild::drop(&mut view, child).unwrap();
    HostOutputStream::drop(view.table, stdin).await.unwrap();
    HostInputStream::drop(view.table, stdout).await.unwrap();
}

#[tokio::test]
async fn options_over_the_guests_budget_are_too_big_and_not_stored() {
    let mut guest = Guest::new();
    let quarter = || types::Stdin::Bytes(vec![0; MAX_OPTIONS_BYTES / 4]);
    let mut held: Vec<_> = (0..4).map(|_| guest.options()).collect();
    let over = guest.options();
    for options in &held {
        HostSpawnOptions::set_stdin(&mut guest.view(), borrow(options), quarter()).unwrap();
    }
    assert_eq!(guest.ctx.options_bytes, MAX_OPTIONS_BYTES);
    HostSpawnOptions::set_stdin(&mut guest.view(), borrow(&over), quarter()).unwrap();
    assert_eq!(guest.ctx.options_bytes, MAX_OPTIONS_BYTES);
    let (program, args) = script("true");
    let spawned = HostChild::spawn(&mut guest.view(), program, args, Some(borrow(&over))).await;
    assert_eq!(code(spawned), ErrorCode::TooBig);

    // Setting an option again replaces its value, and dropping the options frees it.
    let first = held.remove(0);
    HostSpawnOptions::set_stdin(&mut guest.view(), borrow(&first), types::Stdin::Null).unwrap();
    assert_eq!(guest.ctx.options_bytes, MAX_OPTIONS_BYTES / 4 * 3);
    for options in held {
        HostSpawnOptions::drop(&mut guest.view(), options).unwrap();
    }
    assert_eq!(guest.ctx.options_bytes, 0);
}

#[test]
fn the_error_code_of_a_failed_stream_is_found() {
    let mut guest = Guest::new();
    let ours = guest
        .table
        .push(wasmtime::Error::new(ErrorCode::BrokenPipe))
        .unwrap();
    let other = guest.table.push(wasmtime::Error::msg("not ours")).unwrap();
    let mut view = guest.view();
    let code = view.process_error_code(ours).unwrap();
    assert!(matches!(code, Some(types::ErrorCode::BrokenPipe)));
    assert!(view.process_error_code(other).unwrap().is_none());
}

#[tokio::test]
async fn a_released_handle_is_a_trap_and_not_another_child() {
    let mut guest = Guest::new();
    let child = guest.sleep().await;
    let stale = || Resource::<super::Child>::new_borrow(child.rep());
    let status = HostChild::release(&mut guest.view(), Resource::new_own(child.rep())).await;
    assert!(matches!(status, Ok(types::ExitStatus::Killed(_))));
    let mut view = guest.view();
    HostChild::id(&mut view, stale()).expect_err("the handle was released");
    HostChild::poll(&mut view, stale()).expect_err("the handle was released");
    HostChild::kill(&mut view, stale(), 0).expect_err("the handle was released");
    HostChild::subscribe(&mut view, stale()).expect_err("the handle was released");
    HostChild::captured(&mut view, stale(), 0, 0).expect_err("the handle was released");
    HostChild::wait(&mut view, stale(), None)
        .await
        .expect_err("the handle was released");
    let detached = HostChild::detach(&mut view, stale());
    assert!(matches!(detached, Err(ProcessError::Trap(_))));
    let again = HostChild::release(&mut view, Resource::new_own(child.rep())).await;
    again.expect_err("it was released before");
}

#[tokio::test]
async fn detach_and_attach_fail_as_values() {
    let mut guest = Guest::new();
    let child = guest.sleep().await;
    let refused = code(HostChild::detach(&mut guest.view(), borrow(&child)));
    assert_eq!(refused, ErrorCode::AccessDenied(DeniedItem::Detach));
    assert_eq!(guest.ctx.live().len(), 1, "a refused detach loses nothing");
    for key in ["", "0", "00000000000000000000000000000000", "a\0b"] {
        let unknown = HostChild::attach(&mut guest.view(), key.to_owned());
        assert_eq!(code(unknown), ErrorCode::NoEntry);
    }
}

/// A kill by SIGKILL.
fn killed(reason: types::KillReason) -> types::ExitStatus {
    let signal = Some(9);
    types::ExitStatus::Killed(types::Kill { reason, signal })
}

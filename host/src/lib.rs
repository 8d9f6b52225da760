//! Child processes for WebAssembly components.
//!
//! A [wasmtime] host plugin for the interfaces `capspawn:process`, in the versions
//! 0.2 ([`p2`]) and 0.3 ([`p3`]): a
//! component asks for a program by name; what that name stands for, which
//! arguments it takes and what it is confined to is written in a [`Grant`]. All
//! children of a host live in one [`Registry`], which caps them and reaps them.
//!
//! # A whole embedding
//!
//! ```no_run
//! use std::path::Path;
//!
//! use capspawn::{Grants, ProcessCtx, ProcessCtxView, ProcessView, Registry};
//! use wasmtime::component::{Component, Linker, ResourceTable};
//! use wasmtime::{Engine, Store};
//! use wasmtime_wasi::p2::bindings::Command;
//! use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
//!
//! // What one store holds: WASI, our context, and the table they share.
//! struct State {
//!     table: ResourceTable,
//!     wasi: WasiCtx,
//!     process: ProcessCtx,
//! }
//!
//! impl WasiView for State {
//!     fn ctx(&mut self) -> WasiCtxView<'_> {
//!         WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
//!     }
//! }
//!
//! impl ProcessView for State {
//!     fn process(&mut self) -> ProcessCtxView<'_> {
//!         ProcessCtxView { ctx: &mut self.process, table: &mut self.table }
//!     }
//! }
//!
//! # async fn embed() -> Result<(), Box<dyn std::error::Error>> {
//! // Once per host process: the registry and the grants.
//! let registry = Registry::builder().max_entries(1024).build()?;
//! let grants = Grants::load("grants.toml")?;
//!
//! // Once per component: compile and link. Linking never depends on a grant.
//! let engine = Engine::default();
//! let mut linker: Linker<State> = Linker::new(&engine);
//! wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
//! capspawn::p2::add_to_linker(&mut linker)?;
//! let component = Component::from_file(&engine, Path::new("report-builder.wasm"))?;
//!
//! // Once per guest: a context with its grant. Dropping the store kills what
//! // the guest still runs.
//! let process = ProcessCtx::builder(&registry)
//!     .grant(grants.component("report-builder"))
//!     .build();
//! let wasi = WasiCtx::builder().inherit_stdout().build();
//! let state = State { table: ResourceTable::new(), wasi, process };
//! let mut store = Store::new(&engine, state);
//! let guest = Command::instantiate_async(&mut store, &component, &linker).await?;
//! let outcome = guest.wasi_cli_run().call_run(&mut store).await?;
//! # let _ = outcome;
//! # Ok(())
//! # }
//! ```
//!
//! # Who kills, and when
//!
//! A guest that drops a `child` handle, a store that is dropped, and a
//! [`ProcessCtx`] that is dropped each kill what they own, without waiting and
//! without needing a tokio runtime. A guest that trapped, or whose call was
//! dropped, keeps its children until its store goes: a host that keeps such a
//! store calls [`ProcessCtx::kill_all`].
//!
//! What a guest detached (where its grant allows it) is no longer its own: it is
//! the registry's, until a guest of the same component and tenant attaches.
//!
//! # What bounds a guest itself
//!
//! A grant bounds what a guest starts, not what it computes. The file
//! `examples/reference-host.rs` of this crate adds what a host of strangers'
//! components needs: epoch interruption, limits on memory, tables, handles and
//! on the bytes of one call, a time-out around the call, and a bounded shutdown.
//! The command `capspawn run` is built the same way.
//!
//! Programs that use no wasm take the same core from the crate
//! `capspawn-native`.

mod child;
mod convert;
mod ctx;
mod error;
mod options;
pub mod p2;
pub mod p3;

pub use capspawn_native::{
    Answer, Approver, Captured, Child, ChildInfo, Command, Denial, DeniedItem, Event, EventKind,
    ExitStatus, Grant, GrantError, Grants, Guest, KillReason, Question, Quota, Registry,
    RegistryBuilder, Signal, SpawnError, Stdin, Stdio, Waiter,
};
pub use ctx::{
    MAX_OPTIONS_BYTES, Process, ProcessCtx, ProcessCtxBuilder, ProcessCtxView, ProcessView,
};
pub use error::{ErrorCode, ProcessError};

//! Child processes for WebAssembly components.
//!
//! A [wasmtime] host plugin for the interface `capspawn:process`, in the versions
//! 0.2 ([`p2`]) and 0.3 ([`p3`]). A component requests a program by name. A
//! [`Grant`] defines what the name stands for, which arguments are allowed, and
//! what the child process is confined to. One [`Registry`] for each host holds all
//! children: it limits, watches and reaps them.
//!
//! # A complete embedding
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
//! // The data of a store: WASI, the context for processes, and their shared table.
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
//! // Once for each host process: the registry and the grants.
//! let registry = Registry::builder().max_entries(1024).build()?;
//! let grants = Grants::load("grants.toml")?;
//!
//! // Once for each component: compile and link. Linking never depends on a grant.
//! let engine = Engine::default();
//! let mut linker: Linker<State> = Linker::new(&engine);
//! wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
//! capspawn::p2::add_to_linker(&mut linker)?;
//! let component = Component::from_file(&engine, Path::new("report-builder.wasm"))?;
//!
//! // Once for each guest: a context with its grant. Dropping the store kills all
//! // children that the guest still runs.
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
//! # When children are killed
//!
//! Dropping a `child` handle, a store, or a [`ProcessCtx`] kills the children that
//! it owns. The drop does not wait and needs no tokio runtime. The children of a
//! guest that trapped, or whose call was dropped, run until its store is dropped: a
//! host that keeps such a store must call [`ProcessCtx::kill_all`].
//!
//! A child that a guest detached, where its grant allows it, belongs to the
//! registry until a guest of the same component and tenant attaches to it.
//!
//! # Limits on the guest itself
//!
//! A grant limits what a guest starts, not what it computes. The file
//! `examples/reference-host.rs` of this crate shows what a host needs for
//! components that it does not trust: epoch interruption, limits on memory, tables,
//! handles and on the bytes of one call, a timeout around the call, and a shutdown
//! with a time limit. The command `capspawn run` is built the same way.
//!
//! # Launchers, approvers and tests
//!
//! What starts children is behind one trait, [`launch::Launcher`]. [`sandbox::NativeLauncher`]
//! confines them by the mechanisms of the operating system; another one may start them elsewhere,
//! record them, or start none. All that a launcher or an approver needs is in this crate:
//!
//! ```
//! use std::sync::Arc;
//!
//! use capspawn::confinement::{Confinement, Enforcement};
//! use capspawn::launch::{ChildStdio, Launcher, Owner, Plan, Process, Scope};
//! use capspawn::sandbox::NativeLauncher;
//! use capspawn::{LaunchError, Registry};
//!
//! /// Prints each program, and leaves the rest to the launcher of this crate.
//! #[derive(Debug)]
//! struct Printing(NativeLauncher);
//!
//! impl Launcher for Printing {
//!     fn enforcement(&self, confinement: &Confinement) -> Arc<Enforcement> {
//!         self.0.enforcement(confinement)
//!     }
//!
//!     fn launch(
//!         &self,
//!         scope: Scope,
//!         plan: &Plan,
//!         stdio: ChildStdio,
//!     ) -> Result<Box<dyn Process>, LaunchError> {
//!         println!("{:?}", plan.argv);
//!         self.0.launch(scope, plan, stdio)
//!     }
//!
//!     fn open(&self, scope: Scope, owner: Owner<'_>) {
//!         self.0.open(scope, owner);
//!     }
//!
//!     fn close(&self, scope: Scope) {
//!         self.0.close(scope);
//!     }
//! }
//!
//! let launcher = Arc::new(Printing(NativeLauncher::new()));
//! let registry = Registry::builder().launcher(launcher).build()?;
//! # assert!(registry.is_empty());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Features
//!
//! All are on by default. `default-features = false` leaves them out:
//!
//! | Feature | What it adds |
//! |---|---|
//! | `p2` | the module `p2`: the interface in version 0.2 |
//! | `p3` | the module `p3`: the interface in version 0.3 |
//! | `cranelift` | wasmtime's compiler. Without it a host loads precompiled components only, and links no compiler |
//! | `cache` | wasmtime's cache of compiled components |
//!
//! Programs without WebAssembly use the same core, the crate `capspawn-native`.

#![doc(test(attr(deny(warnings), allow(dead_code))))]
#![cfg_attr(
    not(all(feature = "p2", feature = "p3")),
    allow(
        dead_code,
        reason = "one version of the interface does not use all that both share"
    )
)]

#[cfg(any(feature = "p2", feature = "p3"))]
mod child;
#[cfg(any(feature = "p2", feature = "p3"))]
mod convert;
mod ctx;
mod error;
#[cfg(feature = "metrics")]
pub mod metrics;
#[cfg(any(feature = "p2", feature = "p3"))]
mod options;
#[cfg(feature = "p2")]
pub mod p2;
#[cfg(feature = "p3")]
pub mod p3;

pub use capspawn_native::launch::FileAccess;
pub use capspawn_native::{
    Answer, Approver, Captured, Child, ChildInfo, Command, Cut, Decision, Denial, DeniedBy,
    DeniedItem, Event, EventKind, ExitStatus, FileMode, Grant, GrantError, Grants, Guest, Holdings,
    HostHoldings, KillReason, LaunchError, PassedReader, PassedWriter, PipeReader, PipeWriter,
    Question, Quota, Receipt, Redirection, RedirectionTarget, Registry, RegistryBuilder, Shortage,
    Signal, SpawnError, Stage, Stdin, Stdio, Streams, Waiter,
};
pub use capspawn_native::{clock, confinement, escape, grant, launch, limits, sandbox};
pub use ctx::{
    MAX_OPTIONS_BYTES, Process, ProcessCtx, ProcessCtxBuilder, ProcessCtxView, ProcessView,
};
pub use error::{ErrorCode, ProcessError};

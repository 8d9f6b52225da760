//! `capspawn:process@0.2`, for components that are built with WASI 0.2 toolchains.

pub mod bindings;
mod convert;
mod host;
mod streams;
#[cfg(test)]
mod tests;

pub use crate::child::Child;
use crate::ctx::{Process, ProcessView};
pub use crate::options::SpawnOptions;

/// Adds the interfaces `types`, `run` and `spawn` to `linker`.
///
/// Linking does not depend on a grant: requests that the guest's grant does not
/// allow fail with `access-denied`. `spawn` uses `wasi:io`, which
/// [`wasmtime_wasi::p2::add_to_linker_async`] adds. Guests must be called through
/// wasmtime's async functions, because `spawn`, `run`, `wait` and `release` may
/// wait.
///
/// A host that offers only single interfaces links them as [`Process`] shows.
///
/// ```
/// use capspawn::{ProcessCtx, ProcessCtxView, ProcessView};
/// use wasmtime::Engine;
/// use wasmtime::component::{Linker, ResourceTable};
/// use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
///
/// struct State {
///     table: ResourceTable,
///     wasi: WasiCtx,
///     process: ProcessCtx,
/// }
///
/// impl WasiView for State {
///     fn ctx(&mut self) -> WasiCtxView<'_> {
///         WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
///     }
/// }
///
/// impl ProcessView for State {
///     fn process(&mut self) -> ProcessCtxView<'_> {
///         ProcessCtxView { ctx: &mut self.process, table: &mut self.table }
///     }
/// }
///
/// let mut linker = Linker::<State>::new(&Engine::default());
/// wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
/// capspawn::p2::add_to_linker(&mut linker)?;
/// # wasmtime::error::Ok(())
/// ```
///
/// # Errors
///
/// One of the interfaces is in `linker` already.
pub fn add_to_linker<T>(linker: &mut wasmtime::component::Linker<T>) -> wasmtime::Result<()>
where
    T: ProcessView + 'static,
{
    bindings::types::add_to_linker::<_, Process>(linker, T::process)?;
    bindings::run::add_to_linker::<_, Process>(linker, T::process)?;
    bindings::spawn::add_to_linker::<_, Process>(linker, T::process)?;
    Ok(())
}

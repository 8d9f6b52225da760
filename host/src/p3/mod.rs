//! `capspawn:process@0.3`, for components that use the component model's async
//! functions and streams.
//!
//! Children, limits and grants are the same as in [`crate::p2`]: one linker, and
//! one component, may use both versions.

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
/// allow fail with `access-denied`. Guests are called within
/// [`run_concurrent`](wasmtime::Store::run_concurrent). Dropping its future
/// cancels nothing: the guest's pending calls and its children stay until the
/// store is dropped. A host that keeps the store of an abandoned call must call
/// [`ProcessCtx::kill_all`](crate::ProcessCtx::kill_all).
///
/// A host that offers only single interfaces links them as [`Process`] shows, with
/// `p3` instead of `p2`.
///
/// ```
/// use capspawn::ProcessView;
/// use wasmtime::component::Linker;
///
/// /// Links both versions: a guest may import either of them, or both.
/// fn link<T: ProcessView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
///     capspawn::p2::add_to_linker(linker)?;
///     capspawn::p3::add_to_linker(linker)
/// }
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

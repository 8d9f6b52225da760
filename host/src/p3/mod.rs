//! `capspawn:process@0.3`: for components of the asynchronous component model.
//!
//! The same children, caps and grants as in [`crate::p2`]: both versions may be
//! in one linker, and in one component.

pub mod bindings;
mod convert;
mod host;
mod streams;
#[cfg(test)]
mod tests;

pub use crate::child::Child;
pub use crate::options::SpawnOptions;
use crate::{Process, ProcessView};

/// Adds the interfaces `types`, `run` and `spawn` to `linker`.
///
/// Whatever the guest's grant says, linking succeeds: what it does not allow is
/// answered with `access-denied` when it is asked for. Guests are called within
/// [`run_concurrent`](wasmtime::Store::run_concurrent). Dropping its future
/// cancels nothing: what the guest waits for, and its children, stay until the
/// store goes. A host that keeps the store of an abandoned call calls
/// [`ProcessCtx::kill_all`](crate::ProcessCtx::kill_all).
///
/// A host that offers less links `bindings::types` and `bindings::run` alone.
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

//! `capspawn:process@0.2`: for components built with WASI 0.2 toolchains.

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
/// answered with `access-denied` when it is asked for. `wasi:io`, which `spawn`
/// uses, is added by `wasmtime_wasi::p2::add_to_linker_async`. Guests must be
/// called through the asynchronous functions of wasmtime: `run`, `wait` and
/// `release` wait.
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

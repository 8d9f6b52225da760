//! The data of a store.

use std::fmt;

use capspawn::{ProcessCtx, ProcessCtxView, ProcessView};
use capspawn_native::clock::Clock;
use wasmtime::component::{Linker, ResourceTable};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView, p2, p3};

use super::guest_clock::{self, GuestClock};

/// The contexts of a guest, for an embedder's own data of a store.
pub struct Parts {
    /// The context for WASI: arguments, variables, directories, standard streams.
    pub wasi: WasiCtx,
    /// The context for processes.
    pub process: ProcessCtx,
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts").finish_non_exhaustive()
    }
}

/// The data of the store of a [`TestHost`](crate::TestHost) by default.
pub struct TestState {
    table: ResourceTable,
    wasi: WasiCtx,
    process: ProcessCtx,
    clock: Clock,
}

impl fmt::Debug for TestState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestState").finish_non_exhaustive()
    }
}

impl TestState {
    pub(super) fn new(parts: Parts, clock: Clock) -> Self {
        Self {
            table: ResourceTable::new(),
            wasi: parts.wasi,
            process: parts.process,
            clock,
        }
    }

    /// Returns the clock as the guest has it.
    pub(super) fn guest_clock(&mut self) -> GuestClock<'_> {
        GuestClock {
            clock: &self.clock,
            table: &mut self.table,
        }
    }
}

impl WasiView for TestState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

impl ProcessView for TestState {
    fn process(&mut self) -> ProcessCtxView<'_> {
        ProcessCtxView {
            ctx: &mut self.process,
            table: &mut self.table,
        }
    }
}

/// Links WASI and `capspawn:process`, both in their versions 0.2 and 0.3, and the clock.
pub(super) fn link(linker: &mut Linker<TestState>) -> wasmtime::Result<()> {
    p2::add_to_linker_async(linker)?;
    p3::add_to_linker(linker)?;
    capspawn::p2::add_to_linker(linker)?;
    capspawn::p3::add_to_linker(linker)?;
    linker.allow_shadowing(true);
    guest_clock::add_to_linker(linker)?;
    linker.allow_shadowing(false);
    Ok(())
}

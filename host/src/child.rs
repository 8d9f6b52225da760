//! `child`: what is behind the handle, in all versions of the interface.

use std::io;

use capspawn_native as native;
use wasmtime::component::Resource;

use crate::{ErrorCode, ProcessCtxView, ProcessError};

/// What a guest's `child` handle stands for.
///
/// Its Rust `Drop` kills. When a store is dropped wasmtime drops the table and
/// calls no destructor of the interface, so nowhere else would do.
#[derive(Debug)]
pub struct Child(pub(crate) native::Child);

impl ProcessCtxView<'_> {
    pub(crate) fn child(&self, child: &Resource<Child>) -> wasmtime::Result<&native::Child> {
        Ok(&self.table.get(child)?.0)
    }

    /// Leaves a child to the registry.
    pub(crate) fn detach(&mut self, child: &Resource<Child>) -> Result<String, ProcessError> {
        Ok(self.table.get(child)?.0.detach()?)
    }

    /// Takes up a child that was left.
    pub(crate) fn attach(&mut self, key: &str) -> Result<Resource<Child>, ProcessError> {
        let child = self.ctx.guest.attach(key)?;
        Ok(self.table.push(Child(child))?)
    }
}

/// Names what taking a stream came to.
pub(crate) fn taken<T>(taken: io::Result<Option<T>>) -> Result<T, ErrorCode> {
    taken?.ok_or(ErrorCode::InvalidState)
}

//! The resource `child`: the handle of a child process, in all versions of the
//! interface.

use std::io;
use std::time::Duration;

use capspawn_native as native;
use capspawn_native::Signal;
use wasmtime::component::Resource;

use crate::ctx::ProcessCtxView;
use crate::error::{ErrorCode, ProcessError};

/// The host's value of a guest's `child` handle.
///
/// The child is killed by the Rust `Drop` of this value. The interface's
/// destructor would not be enough: when a store is dropped, wasmtime drops the
/// resource table and calls no destructors.
#[derive(Debug)]
pub struct Child(pub(crate) native::Child);

impl ProcessCtxView<'_> {
    pub(crate) fn child(&self, child: &Resource<Child>) -> wasmtime::Result<&native::Child> {
        Ok(&self.table.get(child)?.0)
    }

    pub(crate) fn push_child(
        &mut self,
        child: native::Child,
    ) -> Result<Resource<Child>, ProcessError> {
        Ok(self.table.push(Child(child))?)
    }

    pub(crate) fn attach_child(&mut self, key: &str) -> Result<Resource<Child>, ProcessError> {
        let child = self.ctx.guest.attach(key)?;
        self.push_child(child)
    }

    pub(crate) fn detach_child(&self, child: &Resource<Child>) -> Result<String, ProcessError> {
        Ok(self.table.get(child)?.0.detach()?)
    }

    pub(crate) fn signal_child(
        &self,
        child: &Resource<Child>,
        signal: impl Into<Signal>,
    ) -> Result<(), ProcessError> {
        self.table.get(child)?.0.signal(signal.into());
        Ok(())
    }

    pub(crate) fn kill_child(
        &self,
        child: &Resource<Child>,
        grace_nanoseconds: u64,
    ) -> wasmtime::Result<()> {
        self.child(child)?
            .kill(Duration::from_nanos(grace_nanoseconds));
        Ok(())
    }

    pub(crate) fn drop_child(&mut self, child: Resource<Child>) -> wasmtime::Result<()> {
        self.table.delete(child)?;
        Ok(())
    }
}

/// Returns the taken pipe; `invalid-state` if the stream is not piped or was
/// taken before.
pub(crate) fn require_pipe<T>(taken: io::Result<Option<T>>) -> Result<T, ErrorCode> {
    taken?.ok_or(ErrorCode::InvalidState)
}

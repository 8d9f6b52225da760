//! The resource `child`: the handle of a child process, in all versions of the
//! interface.

use std::io;
use std::time::Duration;

use capspawn_native as native;
use capspawn_native::{ChildInfo, ExitStatus, PassedReader, PassedWriter, Signal};
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

/// How a child ended, as the guest sees it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct End {
    pub(crate) status: ExitStatus,
    /// The signal that ended it.
    pub(crate) signal: Option<u8>,
}

impl Child {
    /// Returns how the child ended, or none while it runs.
    pub(crate) fn poll(&self) -> Option<End> {
        let status = self.0.poll()?;
        let signal = self.0.end_signal();
        Some(End { status, signal })
    }

    /// Returns what the guest may know. Its number is the guest's own.
    pub(crate) fn info(&self) -> ChildInfo {
        let id = self.0.number();
        let info = self.0.info();
        ChildInfo { id, ..info }
    }

    /// Kills the child, and returns how it ended.
    pub(crate) async fn release(self) -> End {
        let waiter = self.0.waiter();
        let status = self.0.release().await;
        let signal = waiter.end_signal();
        End { status, signal }
    }

    /// Waits until the child has ended, and returns its output.
    pub(crate) async fn output(self) -> (End, native::Captured, native::Captured) {
        let (status, stdout, stderr) = self.0.output().await;
        let signal = self.0.end_signal();
        (End { status, signal }, stdout, stderr)
    }
}

impl ProcessCtxView<'_> {
    pub(crate) fn child(&self, child: &Resource<Child>) -> wasmtime::Result<&native::Child> {
        Ok(&self.table.get(child)?.0)
    }

    pub(crate) fn child_info(&self, child: &Resource<Child>) -> wasmtime::Result<ChildInfo> {
        Ok(self.table.get(child)?.info())
    }

    pub(crate) fn poll_child(&self, child: &Resource<Child>) -> wasmtime::Result<Option<End>> {
        Ok(self.table.get(child)?.poll())
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

    pub(crate) fn signal_child_tree(
        &self,
        child: &Resource<Child>,
        signal: impl Into<Signal>,
    ) -> Result<(), ProcessError> {
        self.table.get(child)?.0.signal_tree(signal.into());
        Ok(())
    }

    pub(crate) fn pass_stdin(
        &mut self,
        child: &Resource<Child>,
    ) -> Result<Resource<PassedWriter>, ProcessError> {
        let passed = require_pipe(self.table.get(child)?.0.pass_stdin())?;
        Ok(self.table.push(passed)?)
    }

    pub(crate) fn pass_stdout(
        &mut self,
        child: &Resource<Child>,
    ) -> Result<Resource<PassedReader>, ProcessError> {
        let passed = require_pipe(self.table.get(child)?.0.pass_stdout())?;
        Ok(self.table.push(passed)?)
    }

    pub(crate) fn pass_stderr(
        &mut self,
        child: &Resource<Child>,
    ) -> Result<Resource<PassedReader>, ProcessError> {
        let passed = require_pipe(self.table.get(child)?.0.pass_stderr())?;
        Ok(self.table.push(passed)?)
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

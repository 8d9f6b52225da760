//! The host methods of version 0.2. Each looks a handle up, calls the native core
//! and converts the result.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::time::Duration;

use capspawn_native as native;
use capspawn_native::{PassedReader, PassedWriter, Stdin, Stdio};
use wasmtime::component::Resource;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, DynPollable, IoError, Pollable};

use super::bindings::{run, spawn, types};
use super::streams::{PipeInput, PipeOutput};
use crate::child::{Child, require_pipe};
use crate::ctx::ProcessCtxView;
use crate::error::{ErrorCode, ProcessError};
use crate::options::{Setting, SpawnOptions, host_passed_pipes, host_spawn_options};

/// The source of a child's pollable. It does not hold the child, so that the guest
/// may drop either of them first.
struct Ended(native::Waiter);

#[async_trait]
impl Pollable for Ended {
    async fn ready(&mut self) {
        self.0.ended().await;
    }
}

impl types::Host for ProcessCtxView<'_> {
    fn convert_error_code(&mut self, error: ProcessError) -> wasmtime::Result<types::ErrorCode> {
        error.into_code()
    }
}

host_spawn_options!(types);
host_passed_pipes!(types);

impl run::Host for ProcessCtxView<'_> {
    async fn run(
        &mut self,
        program: String,
        args: Vec<String>,
        options: Option<Resource<SpawnOptions>>,
    ) -> Result<types::Output, ProcessError> {
        let command = self.command_to_run(program, args, options)?;
        // Cancelling this call drops the approval request, or the child, which
        // kills it.
        let child = self.ctx.guest.spawn_with_approval(&command).await?;
        Ok(Child(child).output().await.into())
    }
}

impl spawn::Host for ProcessCtxView<'_> {
    fn process_error_code(
        &mut self,
        error: Resource<IoError>,
    ) -> wasmtime::Result<Option<types::ErrorCode>> {
        let error = self.table.get(&error)?;
        Ok(error.downcast_ref::<ErrorCode>().cloned().map(Into::into))
    }
}

impl spawn::HostChild for ProcessCtxView<'_> {
    async fn spawn(
        &mut self,
        program: String,
        args: Vec<String>,
        options: Option<Resource<SpawnOptions>>,
    ) -> Result<Resource<Child>, ProcessError> {
        let command = self.command(program, args, options)?;
        let child = self.ctx.guest.spawn_with_approval(&command).await?;
        self.push_child(child)
    }

    fn attach(&mut self, key: String) -> Result<Resource<Child>, ProcessError> {
        self.attach_child(&key)
    }

    fn id(&mut self, this: Resource<Child>) -> wasmtime::Result<u64> {
        Ok(self.child(&this)?.number())
    }

    fn info(&mut self, this: Resource<Child>) -> wasmtime::Result<types::ChildInfo> {
        Ok(self.child_info(&this)?.into())
    }

    fn usage(&mut self, this: Resource<Child>) -> wasmtime::Result<types::Usage> {
        Ok(self.child(&this)?.usage().into())
    }

    fn poll(&mut self, this: Resource<Child>) -> wasmtime::Result<Option<types::ExitStatus>> {
        Ok(self.poll_child(&this)?.map(Into::into))
    }

    fn subscribe(&mut self, this: Resource<Child>) -> wasmtime::Result<Resource<DynPollable>> {
        let waiter = self.child(&this)?.waiter();
        let owned = self.table.push(Ended(waiter))?;
        wasmtime_wasi::p2::subscribe(self.table, owned)
    }

    async fn wait(
        &mut self,
        this: Resource<Child>,
        timeout: Option<types::Duration>,
    ) -> wasmtime::Result<Option<types::ExitStatus>> {
        let timeout = timeout.map(Duration::from_nanos);
        self.child(&this)?.wait(timeout).await;
        Ok(self.poll_child(&this)?.map(Into::into))
    }

    fn signal(&mut self, this: Resource<Child>, signal: types::Signal) -> Result<(), ProcessError> {
        self.signal_child(&this, signal)
    }

    fn signal_tree(
        &mut self,
        this: Resource<Child>,
        signal: types::Signal,
    ) -> Result<(), ProcessError> {
        self.signal_child_tree(&this, signal)
    }

    fn pass_stdin(
        &mut self,
        this: Resource<Child>,
    ) -> Result<Resource<PassedWriter>, ProcessError> {
        self.pass_stdin(&this)
    }

    fn pass_stdout(
        &mut self,
        this: Resource<Child>,
    ) -> Result<Resource<PassedReader>, ProcessError> {
        self.pass_stdout(&this)
    }

    fn pass_stderr(
        &mut self,
        this: Resource<Child>,
    ) -> Result<Resource<PassedReader>, ProcessError> {
        self.pass_stderr(&this)
    }

    fn kill(&mut self, this: Resource<Child>, grace: types::Duration) -> wasmtime::Result<()> {
        self.kill_child(&this, grace)
    }

    fn take_stdin(
        &mut self,
        this: Resource<Child>,
    ) -> Result<Resource<DynOutputStream>, ProcessError> {
        let pipe = require_pipe(self.table.get(&this)?.0.take_stdin())?;
        let stream: DynOutputStream = Box::new(PipeOutput::new(pipe));
        Ok(self.table.push(stream)?)
    }

    fn take_stdout(
        &mut self,
        this: Resource<Child>,
    ) -> Result<Resource<DynInputStream>, ProcessError> {
        let pipe = require_pipe(self.table.get(&this)?.0.take_stdout())?;
        let stream: DynInputStream = Box::new(PipeInput::new(pipe));
        Ok(self.table.push(stream)?)
    }

    fn take_stderr(
        &mut self,
        this: Resource<Child>,
    ) -> Result<Resource<DynInputStream>, ProcessError> {
        let pipe = require_pipe(self.table.get(&this)?.0.take_stderr())?;
        let stream: DynInputStream = Box::new(PipeInput::new(pipe));
        Ok(self.table.push(stream)?)
    }

    fn captured(
        &mut self,
        this: Resource<Child>,
        stdout_offset: u64,
        stderr_offset: u64,
    ) -> wasmtime::Result<(types::Capture, types::Capture)> {
        let (stdout, stderr) = self.child(&this)?.captured(stdout_offset, stderr_offset);
        Ok((stdout.into(), stderr.into()))
    }

    async fn release(&mut self, this: Resource<Child>) -> wasmtime::Result<types::ExitStatus> {
        let child = self.table.delete(this)?;
        Ok(child.release().await.into())
    }

    fn detach(&mut self, this: Resource<Child>) -> Result<String, ProcessError> {
        self.detach_child(&this)
    }

    fn drop(&mut self, this: Resource<Child>) -> wasmtime::Result<()> {
        self.drop_child(this)
    }
}

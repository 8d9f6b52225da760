//! The host methods of version 0.3. Each takes what it needs out of the store,
//! waits without the store, and converts the result.
//!
//! A waiting future holds neither the store nor a child's handle. The other tasks
//! of the guest run meanwhile, and dropping the future loses nothing.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::time::Duration;

use capspawn_native as native;
use capspawn_native::{Command, PassedReader, PassedWriter, Stdin, Stdio};
use wasmtime::component::{Access, Accessor, FutureReader, Resource, StreamReader};

use super::bindings::{run, spawn, types};
use super::streams;
use crate::child::Child;
use crate::ctx::{Process, ProcessCtxView};
use crate::error::ProcessError;
use crate::options::{Setting, SpawnOptions, host_passed_pipes, host_spawn_options};

/// Resolves to the result of a stream once the stream has ended.
type StreamEnd = FutureReader<streams::EndResult>;

/// Starts a child without the store, which stays free during an approval.
///
/// Cancelling the call drops this future, and with it a pending approval request
/// or the started child, which kills it.
async fn start<T: Send>(
    store: &Accessor<T, Process>,
    command: &Command,
) -> Result<native::Child, ProcessError> {
    let guest = store.with(|mut store| store.get().ctx.guest.clone());
    Ok(guest.spawn_with_approval(command).await?)
}

impl types::Host for ProcessCtxView<'_> {
    fn convert_error_code(&mut self, error: ProcessError) -> wasmtime::Result<types::ErrorCode> {
        error.into_code()
    }
}

host_spawn_options!(types);
host_passed_pipes!(types);

impl run::Host for ProcessCtxView<'_> {}

impl<T: Send> run::HostWithStore<T> for Process {
    async fn run(
        store: &Accessor<T, Self>,
        program: String,
        args: Vec<String>,
        options: Option<Resource<SpawnOptions>>,
    ) -> Result<types::Output, ProcessError> {
        let command = store.with(|mut store| store.get().command_to_run(program, args, options))?;
        let child = start(store, &command).await?;
        Ok(Child(child).output().await.into())
    }
}

impl spawn::Host for ProcessCtxView<'_> {}

impl<T: Send + 'static> spawn::HostChildWithStore<T> for Process {
    async fn spawn(
        store: &Accessor<T, Self>,
        program: String,
        args: Vec<String>,
        options: Option<Resource<SpawnOptions>>,
    ) -> Result<Resource<Child>, ProcessError> {
        let command = store.with(|mut store| store.get().command(program, args, options))?;
        let child = start(store, &command).await?;
        store.with(|mut store| store.get().push_child(child))
    }

    async fn attach(
        store: &Accessor<T, Self>,
        key: String,
    ) -> Result<Resource<Child>, ProcessError> {
        store.with(|mut store| store.get().attach_child(&key))
    }

    async fn wait(
        store: &Accessor<T, Self>,
        this: Resource<Child>,
        timeout: Option<types::Duration>,
    ) -> wasmtime::Result<Option<types::ExitStatus>> {
        let timeout = timeout.map(Duration::from_nanos);
        let ended = store.with(|mut store| {
            let view = store.get();
            let child = view.child(&this)?;
            wasmtime::error::Ok(child.ended_within(timeout))
        })?;
        ended.await;
        store.with(|mut store| Ok(store.get().poll_child(&this)?.map(Into::into)))
    }

    fn write_stdin(
        mut store: Access<'_, T, Self>,
        this: Resource<Child>,
        mut data: StreamReader<u8>,
    ) -> wasmtime::Result<StreamEnd> {
        let pipe = match store.get().child(&this) {
            Ok(child) => child.take_stdin(),
            Err(error) => {
                data.close(&mut store)?;
                return Err(error);
            }
        };
        streams::write(store, pipe, data)
    }

    fn read_stdout(
        mut store: Access<'_, T, Self>,
        this: Resource<Child>,
    ) -> wasmtime::Result<(StreamReader<u8>, StreamEnd)> {
        let pipe = store.get().child(&this)?.take_stdout();
        streams::read(store, pipe)
    }

    fn read_stderr(
        mut store: Access<'_, T, Self>,
        this: Resource<Child>,
    ) -> wasmtime::Result<(StreamReader<u8>, StreamEnd)> {
        let pipe = store.get().child(&this)?.take_stderr();
        streams::read(store, pipe)
    }

    async fn release(
        store: &Accessor<T, Self>,
        this: Resource<Child>,
    ) -> wasmtime::Result<types::ExitStatus> {
        let child = store.with(|mut store| store.get().table.delete(this))?;
        Ok(child.release().await.into())
    }

    async fn detach(
        store: &Accessor<T, Self>,
        this: Resource<Child>,
    ) -> Result<String, ProcessError> {
        store.with(|mut store| store.get().detach_child(&this))
    }
}

impl spawn::HostChild for ProcessCtxView<'_> {
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

    fn captured(
        &mut self,
        this: Resource<Child>,
        stdout_offset: u64,
        stderr_offset: u64,
    ) -> wasmtime::Result<(types::Capture, types::Capture)> {
        let (stdout, stderr) = self.child(&this)?.captured(stdout_offset, stderr_offset);
        Ok((stdout.into(), stderr.into()))
    }

    fn drop(&mut self, this: Resource<Child>) -> wasmtime::Result<()> {
        self.drop_child(this)
    }
}

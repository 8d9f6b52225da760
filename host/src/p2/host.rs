//! The host methods: each fetches from the table, calls the native core, and
//! renames the answer.

use std::io;
use std::time::Duration;

use capspawn_native as native;
use capspawn_native::{Command, Stdin, Stdio};
use wasmtime::component::Resource;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, DynPollable, IoError, Pollable};

use super::bindings::{run, spawn, types};
use super::streams::{Reading, Writing};
use crate::ctx::MAX_OPTIONS_BYTES;
use crate::{ErrorCode, ProcessCtxView, ProcessError};

/// What a guest's `child` handle stands for.
///
/// Its Rust `Drop` kills. When a store is dropped wasmtime drops the table and
/// calls no destructor of the interface, so nowhere else would do.
#[derive(Debug)]
pub struct Child(native::Child);

/// What a guest's `spawn-options` handle stands for: a command without its
/// program and arguments.
#[derive(Debug, Default)]
pub struct SpawnOptions {
    command: Command,
    /// What this value holds, charged to the context.
    bytes: usize,
    /// A setter got more than the guest may hold: every spawn is `too-big`.
    too_big: bool,
}

/// What a pollable of a child holds: not the child, so that the guest may drop
/// either first.
struct Ended(native::Waiter);

#[async_trait]
impl Pollable for Ended {
    async fn ready(&mut self) {
        self.0.ended().await;
    }
}

impl ProcessCtxView<'_> {
    /// Makes the one value that is decided on and executed.
    fn command(
        &mut self,
        program: String,
        args: Vec<String>,
        options: Option<Resource<SpawnOptions>>,
    ) -> Result<Command, ProcessError> {
        let template = match options {
            None => Command::default(),
            Some(options) => {
                let options = self.table.get(&options)?;
                if options.too_big {
                    return Err(ErrorCode::TooBig.into());
                }
                options.command.clone()
            }
        };
        Ok(Command {
            program,
            args,
            ..template
        })
    }

    /// Changes options whose new value takes `bytes` and whose old took `freed`.
    fn set(
        &mut self,
        options: &Resource<SpawnOptions>,
        bytes: usize,
        freed: impl FnOnce(&Command) -> usize,
        change: impl FnOnce(&mut Command),
    ) -> wasmtime::Result<()> {
        let options = self.table.get_mut(options)?;
        let freed = freed(&options.command);
        let total = self.ctx.options_bytes - freed + bytes;
        if total > MAX_OPTIONS_BYTES {
            options.too_big = true;
            return Ok(());
        }
        self.ctx.options_bytes = total;
        options.bytes = options.bytes - freed + bytes;
        change(&mut options.command);
        Ok(())
    }

    fn child(&self, child: &Resource<Child>) -> wasmtime::Result<&native::Child> {
        Ok(&self.table.get(child)?.0)
    }
}

fn has_pipes(command: &Command) -> bool {
    command.stdin == Stdin::Piped
        || command.stdout == Stdio::Piped
        || command.stderr == Stdio::Piped
}

/// Names what taking a stream came to.
fn taken<T>(taken: io::Result<Option<T>>) -> Result<T, ErrorCode> {
    match taken {
        Ok(Some(pipe)) => Ok(pipe),
        Ok(None) => Err(ErrorCode::InvalidState),
        Err(error) => Err(ErrorCode::from(error)),
    }
}

/// What variables take in the host's memory, in bytes.
fn env_bytes(env: &[(String, String)]) -> usize {
    env.iter()
        .map(|(name, value)| name.len() + value.len() + size_of::<(String, String)>())
        .sum()
}

/// What standard input takes in the host's memory, in bytes.
fn stdin_bytes(stdin: &Stdin) -> usize {
    match stdin {
        Stdin::Bytes(bytes) => bytes.len(),
        Stdin::Null | Stdin::Piped => 0,
    }
}

impl types::Host for ProcessCtxView<'_> {
    fn convert_error_code(&mut self, error: ProcessError) -> wasmtime::Result<types::ErrorCode> {
        match error {
            ProcessError::Code(code) => Ok(code.into()),
            ProcessError::Trap(error) => Err(error),
        }
    }
}

impl types::HostSpawnOptions for ProcessCtxView<'_> {
    fn new(&mut self) -> wasmtime::Result<Resource<SpawnOptions>> {
        Ok(self.table.push(SpawnOptions::default())?)
    }

    fn set_env(
        &mut self,
        this: Resource<SpawnOptions>,
        variables: Vec<(String, String)>,
    ) -> wasmtime::Result<()> {
        self.set(
            &this,
            env_bytes(&variables),
            |command| env_bytes(&command.env),
            |command| command.env = variables,
        )
    }

    fn set_cwd(&mut self, this: Resource<SpawnOptions>, path: String) -> wasmtime::Result<()> {
        self.set(
            &this,
            path.len(),
            |command| command.cwd.as_ref().map_or(0, String::len),
            |command| command.cwd = Some(path),
        )
    }

    fn set_stdin(
        &mut self,
        this: Resource<SpawnOptions>,
        stdin: types::Stdin,
    ) -> wasmtime::Result<()> {
        let stdin = stdin.into();
        self.set(
            &this,
            stdin_bytes(&stdin),
            |command| stdin_bytes(&command.stdin),
            |command| command.stdin = stdin,
        )
    }

    fn set_stdout(
        &mut self,
        this: Resource<SpawnOptions>,
        stdout: types::Stdio,
    ) -> wasmtime::Result<()> {
        self.table.get_mut(&this)?.command.stdout = stdout.into();
        Ok(())
    }

    fn set_stderr(
        &mut self,
        this: Resource<SpawnOptions>,
        stderr: types::Stdio,
    ) -> wasmtime::Result<()> {
        self.table.get_mut(&this)?.command.stderr = stderr.into();
        Ok(())
    }

    fn set_timeout(
        &mut self,
        this: Resource<SpawnOptions>,
        timeout: types::Duration,
    ) -> wasmtime::Result<()> {
        self.table.get_mut(&this)?.command.timeout = Some(Duration::from_nanos(timeout));
        Ok(())
    }

    fn drop(&mut self, this: Resource<SpawnOptions>) -> wasmtime::Result<()> {
        let options = self.table.delete(this)?;
        self.ctx.options_bytes -= options.bytes;
        Ok(())
    }
}

impl run::Host for ProcessCtxView<'_> {
    async fn run(
        &mut self,
        program: String,
        args: Vec<String>,
        options: Option<Resource<SpawnOptions>>,
    ) -> Result<types::Output, ProcessError> {
        let command = self.command(program, args, options)?;
        if has_pipes(&command) {
            return Err(ErrorCode::InvalidArgument.into());
        }
        // If this call is cancelled the question is abandoned, or the child
        // dropped and so killed.
        let child = self.ctx.guest.spawn_asking(&command).await?;
        let (status, stdout, stderr) = child.output().await;
        Ok(types::Output {
            status: status.into(),
            stdout: stdout.into(),
            stderr: stderr.into(),
        })
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
        let child = self.ctx.guest.spawn_asking(&command).await?;
        Ok(self.table.push(Child(child))?)
    }

    fn attach(&mut self, key: String) -> Result<Resource<Child>, ProcessError> {
        let child = self.ctx.guest.attach(&key)?;
        Ok(self.table.push(Child(child))?)
    }

    fn id(&mut self, this: Resource<Child>) -> wasmtime::Result<u64> {
        Ok(self.child(&this)?.id())
    }

    fn info(&mut self, this: Resource<Child>) -> wasmtime::Result<types::ChildInfo> {
        Ok(self.child(&this)?.info().into())
    }

    fn poll(&mut self, this: Resource<Child>) -> wasmtime::Result<Option<types::ExitStatus>> {
        Ok(self.child(&this)?.poll().map(Into::into))
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
        Ok(self.child(&this)?.wait(timeout).await.map(Into::into))
    }

    fn signal(&mut self, this: Resource<Child>, signal: types::Signal) -> Result<(), ProcessError> {
        self.table.get(&this)?.0.signal(signal.into());
        Ok(())
    }

    fn kill(&mut self, this: Resource<Child>, grace: types::Duration) -> wasmtime::Result<()> {
        self.child(&this)?.kill(Duration::from_nanos(grace));
        Ok(())
    }

    fn take_stdin(
        &mut self,
        this: Resource<Child>,
    ) -> Result<Resource<DynOutputStream>, ProcessError> {
        let pipe = taken(self.table.get(&this)?.0.take_stdin())?;
        let stream: DynOutputStream = Box::new(Writing::new(pipe));
        Ok(self.table.push(stream)?)
    }

    fn take_stdout(
        &mut self,
        this: Resource<Child>,
    ) -> Result<Resource<DynInputStream>, ProcessError> {
        let pipe = taken(self.table.get(&this)?.0.take_stdout())?;
        let stream: DynInputStream = Box::new(Reading::new(pipe));
        Ok(self.table.push(stream)?)
    }

    fn take_stderr(
        &mut self,
        this: Resource<Child>,
    ) -> Result<Resource<DynInputStream>, ProcessError> {
        let pipe = taken(self.table.get(&this)?.0.take_stderr())?;
        let stream: DynInputStream = Box::new(Reading::new(pipe));
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
        let Child(child) = self.table.delete(this)?;
        Ok(child.release().await.into())
    }

    fn detach(&mut self, this: Resource<Child>) -> Result<String, ProcessError> {
        Ok(self.table.get(&this)?.0.detach()?)
    }

    fn drop(&mut self, this: Resource<Child>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

//! `spawn-options`: what a guest has set so far, and what that costs the host.
//!
//! A guest may set megabytes and never spawn, so that each setter charges the
//! guest's budget; a check at the spawn alone would come too late. Alike in all
//! versions of the interface but for the generated names.

use std::time::Duration;

use capspawn_native::{Command, Stdin, Stdio};
use wasmtime::component::Resource;

use crate::ctx::MAX_OPTIONS_BYTES;
use crate::{ErrorCode, ProcessCtxView, ProcessError};

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

/// What one setter sets.
pub(crate) enum Setting {
    Env(Vec<(String, String)>),
    Cwd(String),
    Stdin(Stdin),
    Stdout(Stdio),
    Stderr(Stdio),
    Timeout(Duration),
}

impl Setting {
    /// What it takes in the host's memory, in bytes, and what that which it
    /// replaces takes.
    fn bytes(&self, replaced: &Command) -> (usize, usize) {
        match self {
            Self::Env(env) => (env_bytes(env), env_bytes(&replaced.env)),
            Self::Cwd(path) => (path.len(), replaced.cwd.as_ref().map_or(0, String::len)),
            Self::Stdin(stdin) => (stdin_bytes(stdin), stdin_bytes(&replaced.stdin)),
            Self::Stdout(_) | Self::Stderr(_) | Self::Timeout(_) => (0, 0),
        }
    }

    fn apply(self, command: &mut Command) {
        match self {
            Self::Env(env) => command.env = env,
            Self::Cwd(path) => command.cwd = Some(path),
            Self::Stdin(stdin) => command.stdin = stdin,
            Self::Stdout(stdout) => command.stdout = stdout,
            Self::Stderr(stderr) => command.stderr = stderr,
            Self::Timeout(timeout) => command.timeout = Some(timeout),
        }
    }
}

fn env_bytes(env: &[(String, String)]) -> usize {
    env.iter()
        .map(|(name, value)| name.len() + value.len() + size_of::<(String, String)>())
        .sum()
}

fn stdin_bytes(stdin: &Stdin) -> usize {
    match stdin {
        Stdin::Bytes(bytes) => bytes.len(),
        Stdin::Null | Stdin::Piped => 0,
    }
}

impl ProcessCtxView<'_> {
    /// Makes the one value that is decided on and executed.
    pub(crate) fn command(
        &self,
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

    /// The same for `run`, where nobody holds a child to take a pipe from.
    pub(crate) fn command_to_run(
        &self,
        program: String,
        args: Vec<String>,
        options: Option<Resource<SpawnOptions>>,
    ) -> Result<Command, ProcessError> {
        let command = self.command(program, args, options)?;
        if has_pipes(&command) {
            return Err(ErrorCode::InvalidArgument.into());
        }
        Ok(command)
    }

    /// Changes options, unless the guest would hold too much then.
    pub(crate) fn set(
        &mut self,
        options: &Resource<SpawnOptions>,
        setting: Setting,
    ) -> wasmtime::Result<()> {
        let options = self.table.get_mut(options)?;
        let (added, freed) = setting.bytes(&options.command);
        let total = self.ctx.options_bytes - freed + added;
        if total > MAX_OPTIONS_BYTES {
            options.too_big = true;
            return Ok(());
        }
        self.ctx.options_bytes = total;
        options.bytes = options.bytes - freed + added;
        setting.apply(&mut options.command);
        Ok(())
    }

    pub(crate) fn drop_options(&mut self, options: Resource<SpawnOptions>) -> wasmtime::Result<()> {
        let options = self.table.delete(options)?;
        self.ctx.options_bytes -= options.bytes;
        Ok(())
    }
}

pub(crate) fn has_pipes(command: &Command) -> bool {
    command.stdin == Stdin::Piped
        || command.stdout == Stdio::Piped
        || command.stderr == Stdio::Piped
}

/// Implements the resource for one version, whose module `types` is in scope.
macro_rules! host_spawn_options {
    ($types:ident) => {
        impl $types::HostSpawnOptions for crate::ProcessCtxView<'_> {
            fn new(&mut self) -> wasmtime::Result<Resource<SpawnOptions>> {
                Ok(self.table.push(SpawnOptions::default())?)
            }

            fn set_env(
                &mut self,
                this: Resource<SpawnOptions>,
                variables: Vec<(String, String)>,
            ) -> wasmtime::Result<()> {
                self.set(&this, Setting::Env(variables))
            }

            fn set_cwd(
                &mut self,
                this: Resource<SpawnOptions>,
                path: String,
            ) -> wasmtime::Result<()> {
                self.set(&this, Setting::Cwd(path))
            }

            fn set_stdin(
                &mut self,
                this: Resource<SpawnOptions>,
                stdin: $types::Stdin,
            ) -> wasmtime::Result<()> {
                self.set(&this, Setting::Stdin(stdin.into()))
            }

            fn set_stdout(
                &mut self,
                this: Resource<SpawnOptions>,
                stdout: $types::Stdio,
            ) -> wasmtime::Result<()> {
                self.set(&this, Setting::Stdout(stdout.into()))
            }

            fn set_stderr(
                &mut self,
                this: Resource<SpawnOptions>,
                stderr: $types::Stdio,
            ) -> wasmtime::Result<()> {
                self.set(&this, Setting::Stderr(stderr.into()))
            }

            fn set_timeout(
                &mut self,
                this: Resource<SpawnOptions>,
                timeout: $types::Duration,
            ) -> wasmtime::Result<()> {
                self.set(&this, Setting::Timeout(Duration::from_nanos(timeout)))
            }

            fn drop(&mut self, this: Resource<SpawnOptions>) -> wasmtime::Result<()> {
                self.drop_options(this)
            }
        }
    };
}

pub(crate) use host_spawn_options;

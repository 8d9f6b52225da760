//! The resource `spawn-options`: what a guest has set so far, in all versions of
//! the interface.
//!
//! A guest can set megabytes of options and never spawn. Therefore each setter
//! charges the guest's budget; a check at the spawn would come too late.

use std::time::Duration;

use capspawn_native::{Command, Stdin, Stdio};
use wasmtime::component::Resource;

use crate::ctx::{MAX_OPTIONS_BYTES, ProcessCtxView};
use crate::error::{ErrorCode, ProcessError};

/// The host's value of a guest's `spawn-options` handle: a command without its
/// program and arguments.
#[derive(Debug, Default)]
pub struct SpawnOptions {
    template: Command,
    /// The bytes that the template holds, charged to the context.
    bytes: usize,
    /// A setter was called with more than the guest may hold. Every spawn with
    /// these options then fails as `too-big`.
    too_big: bool,
}

/// The value that one setter sets.
pub(crate) enum Setting {
    Env(Vec<(String, String)>),
    Cwd(String),
    Stdin(Stdin),
    Stdout(Stdio),
    Stderr(Stdio),
    Timeout(Duration),
}

impl Setting {
    /// Returns the bytes of this value, and of the value in `template` that it
    /// replaces.
    fn bytes(&self, template: &Command) -> (usize, usize) {
        match self {
            Self::Env(env) => (env_bytes(env), env_bytes(&template.env)),
            Self::Cwd(path) => (path.len(), template.cwd.as_ref().map_or(0, String::len)),
            Self::Stdin(stdin) => (stdin_bytes(stdin), stdin_bytes(&template.stdin)),
            Self::Stdout(_) | Self::Stderr(_) | Self::Timeout(_) => (0, 0),
        }
    }

    fn apply(self, template: &mut Command) {
        match self {
            Self::Env(env) => template.env = env,
            Self::Cwd(path) => template.cwd = Some(path),
            Self::Stdin(stdin) => template.stdin = stdin,
            Self::Stdout(stdout) => template.stdout = stdout,
            Self::Stderr(stderr) => template.stderr = stderr,
            Self::Timeout(timeout) => template.timeout = Some(timeout),
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
    /// Builds the command: the one value on which the grant decides.
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
                options.template.clone()
            }
        };
        Ok(Command {
            program,
            args,
            ..template
        })
    }

    /// Builds the command of `run`, which returns no child whose pipes the guest
    /// could take.
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

    /// Sets one option, unless the guest would exceed its budget.
    pub(crate) fn set_option(
        &mut self,
        options: &Resource<SpawnOptions>,
        setting: Setting,
    ) -> wasmtime::Result<()> {
        let options = self.table.get_mut(options)?;
        let (added, freed) = setting.bytes(&options.template);
        let total = self.ctx.options_bytes - freed + added;
        if total > MAX_OPTIONS_BYTES {
            options.too_big = true;
            return Ok(());
        }
        self.ctx.options_bytes = total;
        options.bytes = options.bytes - freed + added;
        setting.apply(&mut options.template);
        Ok(())
    }

    pub(crate) fn drop_options(&mut self, options: Resource<SpawnOptions>) -> wasmtime::Result<()> {
        let options = self.table.delete(options)?;
        self.ctx.options_bytes -= options.bytes;
        Ok(())
    }
}

fn has_pipes(command: &Command) -> bool {
    command.stdin == Stdin::Piped
        || command.stdout == Stdio::Piped
        || command.stderr == Stdio::Piped
}

/// Implements the resource of one version, whose generated module is `$types`.
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
                self.set_option(&this, Setting::Env(variables))
            }

            fn set_cwd(
                &mut self,
                this: Resource<SpawnOptions>,
                path: String,
            ) -> wasmtime::Result<()> {
                self.set_option(&this, Setting::Cwd(path))
            }

            fn set_stdin(
                &mut self,
                this: Resource<SpawnOptions>,
                stdin: $types::Stdin,
            ) -> wasmtime::Result<()> {
                self.set_option(&this, Setting::Stdin(stdin.into()))
            }

            fn set_stdout(
                &mut self,
                this: Resource<SpawnOptions>,
                stdout: $types::Stdio,
            ) -> wasmtime::Result<()> {
                self.set_option(&this, Setting::Stdout(stdout.into()))
            }

            fn set_stderr(
                &mut self,
                this: Resource<SpawnOptions>,
                stderr: $types::Stdio,
            ) -> wasmtime::Result<()> {
                self.set_option(&this, Setting::Stderr(stderr.into()))
            }

            fn set_timeout(
                &mut self,
                this: Resource<SpawnOptions>,
                timeout: $types::Duration,
            ) -> wasmtime::Result<()> {
                self.set_option(&this, Setting::Timeout(Duration::from_nanos(timeout)))
            }

            fn drop(&mut self, this: Resource<SpawnOptions>) -> wasmtime::Result<()> {
                self.drop_options(this)
            }
        }
    };
}

pub(crate) use host_spawn_options;

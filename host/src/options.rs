//! The resource `spawn-options`: what a guest has set so far, in all versions of
//! the interface.
//!
//! A guest can set megabytes of options and never spawn. Therefore each setter
//! charges the guest's budget; a check at the spawn would come too late.

use std::ffi::OsString;
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
    /// The variables of `set-env-bytes`, which follow those of the template.
    raw_env: Vec<(String, OsString)>,
    /// The bytes that the template holds, charged to the context.
    bytes: usize,
    /// A setter was called with more than the guest may hold. Every spawn with
    /// these options then fails as `too-big`.
    too_big: bool,
}

/// The value that one setter sets.
pub(crate) enum Setting {
    Env(Vec<(String, OsString)>),
    EnvBytes(Vec<(String, OsString)>),
    Args(Vec<OsString>),
    Arg0(String),
    Cwd(String),
    Stdin(Stdin),
    Stdout(Stdio),
    Stderr(Stdio),
    Timeout(Duration),
}

impl Setting {
    /// Returns the bytes of this value, and of the value in `options` that it
    /// replaces.
    fn bytes(&self, options: &SpawnOptions) -> (usize, usize) {
        let template = &options.template;
        match self {
            Self::Env(env) => (env_bytes(env), env_bytes(&template.env)),
            Self::EnvBytes(env) => (env_bytes(env), env_bytes(&options.raw_env)),
            Self::Args(args) => (args_bytes(args), args_bytes(&template.args)),
            Self::Arg0(arg0) => (arg0.len(), template.arg0.as_ref().map_or(0, String::len)),
            Self::Cwd(path) => (path.len(), template.cwd.as_ref().map_or(0, String::len)),
            Self::Stdin(stdin) => (stdin_bytes(stdin), stdin_bytes(&template.stdin)),
            Self::Stdout(stdio) => (stdio_bytes(stdio), stdio_bytes(&template.stdout)),
            Self::Stderr(stdio) => (stdio_bytes(stdio), stdio_bytes(&template.stderr)),
            Self::Timeout(_) => (0, 0),
        }
    }

    fn apply(self, options: &mut SpawnOptions) {
        let template = &mut options.template;
        match self {
            Self::Env(env) => template.env = env,
            Self::EnvBytes(env) => options.raw_env = env,
            Self::Args(args) => template.args = args,
            Self::Arg0(arg0) => template.arg0 = Some(arg0),
            Self::Cwd(path) => template.cwd = Some(path),
            Self::Stdin(stdin) => template.stdin = stdin,
            Self::Stdout(stdout) => template.stdout = stdout,
            Self::Stderr(stderr) => template.stderr = stderr,
            Self::Timeout(timeout) => template.timeout = Some(timeout),
        }
    }
}

fn env_bytes(env: &[(String, OsString)]) -> usize {
    env.iter()
        .map(|(name, value)| name.len() + value.len() + size_of::<(String, OsString)>())
        .sum()
}

fn args_bytes(args: &[OsString]) -> usize {
    args.iter()
        .map(|arg| arg.len() + size_of::<OsString>())
        .sum()
}

fn stdin_bytes(stdin: &Stdin) -> usize {
    match stdin {
        Stdin::Bytes(bytes) => bytes.len(),
        Stdin::File(path) => path.len(),
        Stdin::Null | Stdin::Piped | Stdin::Child(_) => 0,
    }
}

fn stdio_bytes(stdio: &Stdio) -> usize {
    match stdio {
        Stdio::File { path, .. } => path.len(),
        _ => 0,
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
        let mut command = match options {
            None => Command::default(),
            Some(options) => {
                let options = self.table.get(&options)?;
                if options.too_big {
                    return Err(ErrorCode::TooBig.into());
                }
                let mut command = options.template.clone();
                command.env.extend_from_slice(&options.raw_env);
                command
            }
        };
        command.program = program;
        let args = args.into_iter().map(OsString::from);
        command.args.splice(0..0, args);
        Ok(command)
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
        let (added, freed) = setting.bytes(options);
        let total = self.ctx.options_bytes - freed + added;
        if total > MAX_OPTIONS_BYTES {
            options.too_big = true;
            return Ok(());
        }
        self.ctx.options_bytes = total;
        options.bytes = options.bytes - freed + added;
        setting.apply(options);
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
                let value = |(name, value): (String, String)| (name, value.into());
                let variables = variables.into_iter().map(value).collect();
                self.set_option(&this, Setting::Env(variables))
            }

            fn set_env_bytes(
                &mut self,
                this: Resource<SpawnOptions>,
                variables: Vec<(String, Vec<u8>)>,
            ) -> wasmtime::Result<()> {
                let value = |(name, value): (String, Vec<u8>)| (name, OsString::from_vec(value));
                let variables = variables.into_iter().map(value).collect();
                self.set_option(&this, Setting::EnvBytes(variables))
            }

            fn set_args_bytes(
                &mut self,
                this: Resource<SpawnOptions>,
                args: Vec<Vec<u8>>,
            ) -> wasmtime::Result<()> {
                let args = args.into_iter().map(OsString::from_vec).collect();
                self.set_option(&this, Setting::Args(args))
            }

            fn set_arg0(
                &mut self,
                this: Resource<SpawnOptions>,
                arg0: String,
            ) -> wasmtime::Result<()> {
                self.set_option(&this, Setting::Arg0(arg0))
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

            fn set_stdin_pipe(
                &mut self,
                this: Resource<SpawnOptions>,
                reader: Resource<PassedReader>,
            ) -> wasmtime::Result<()> {
                let reader = self.table.delete(reader)?;
                self.set_option(&this, Setting::Stdin(Stdin::Child(reader)))
            }

            fn set_stdout_pipe(
                &mut self,
                this: Resource<SpawnOptions>,
                writer: Resource<PassedWriter>,
            ) -> wasmtime::Result<()> {
                let writer = self.table.delete(writer)?;
                self.set_option(&this, Setting::Stdout(Stdio::Child(writer)))
            }

            fn set_stderr_pipe(
                &mut self,
                this: Resource<SpawnOptions>,
                writer: Resource<PassedWriter>,
            ) -> wasmtime::Result<()> {
                let writer = self.table.delete(writer)?;
                self.set_option(&this, Setting::Stderr(Stdio::Child(writer)))
            }

            fn set_stdin_file(
                &mut self,
                this: Resource<SpawnOptions>,
                path: String,
            ) -> wasmtime::Result<()> {
                self.set_option(&this, Setting::Stdin(Stdin::File(path)))
            }

            fn set_stdout_file(
                &mut self,
                this: Resource<SpawnOptions>,
                path: String,
                mode: $types::FileMode,
            ) -> wasmtime::Result<()> {
                let mode = mode.into();
                self.set_option(&this, Setting::Stdout(Stdio::File { path, mode }))
            }

            fn set_stderr_file(
                &mut self,
                this: Resource<SpawnOptions>,
                path: String,
                mode: $types::FileMode,
            ) -> wasmtime::Result<()> {
                let mode = mode.into();
                self.set_option(&this, Setting::Stderr(Stdio::File { path, mode }))
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

/// Implements the resources of passed pipes of one version, whose generated module is `$types`.
macro_rules! host_passed_pipes {
    ($types:ident) => {
        impl $types::HostPipeReader for crate::ProcessCtxView<'_> {
            fn drop(&mut self, this: Resource<PassedReader>) -> wasmtime::Result<()> {
                self.table.delete(this)?;
                Ok(())
            }
        }

        impl $types::HostPipeWriter for crate::ProcessCtxView<'_> {
            fn drop(&mut self, this: Resource<PassedWriter>) -> wasmtime::Result<()> {
                self.table.delete(this)?;
                Ok(())
            }
        }
    };
}

pub(crate) use {host_passed_pipes, host_spawn_options};

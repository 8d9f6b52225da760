//! A request for a child.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use wasip2::cli;

use crate::bindings::capspawn::process::{spawn, types};
use crate::child::{Child, Output};
use crate::error::failed;
use crate::pipe::{ChildStderr, ChildStdin, ChildStdout};
use crate::status::ExitStatus;
use crate::stdio::Stdio;
use crate::{link, wait};

/// A request for a child: [`std::process::Command`].
///
/// The program is the name of a command in the grant; where the grant allows any program, it is
/// a path. Two defaults differ from those of `std`:
///
/// - Standard input is null and not inherited: what is copied to a child is lost to the
///   component. [`Stdio::inherit`] asks for it.
/// - Nothing of the component's environment is passed on, and the working directory is that of
///   the grant.
///
/// ```
/// use capspawn_guest::Command;
///
/// let output = Command::new("echo").args(["hello", "world"]).output()?;
/// assert_eq!(output.stdout, b"hello world\n");
/// assert!(output.status.success());
/// # std::io::Result::Ok(())
/// ```
#[derive(Debug)]
pub struct Command {
    program: OsString,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    cwd: Option<PathBuf>,
    timeout: Option<Duration>,
    stdin: Option<Stdio>,
    stdout: Option<Stdio>,
    stderr: Option<Stdio>,
}

impl Command {
    /// A request for `program` without arguments.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        Self {
            program: program.as_ref().to_owned(),
            args: Vec::new(),
            env: Vec::new(),
            cwd: None,
            timeout: None,
            stdin: None,
            stdout: None,
            stderr: None,
        }
    }

    /// Adds an argument.
    pub fn arg(&mut self, arg: impl AsRef<OsStr>) -> &mut Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    pub fn args<S: AsRef<OsStr>>(&mut self, args: impl IntoIterator<Item = S>) -> &mut Self {
        self.args
            .extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Sets a variable of the child's environment.
    pub fn env(&mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> &mut Self {
        self.env_remove(&name);
        let variable = (name.as_ref().to_owned(), value.as_ref().to_owned());
        self.env.push(variable);
        self
    }

    /// Sets variables of the child's environment.
    pub fn envs<K: AsRef<OsStr>, V: AsRef<OsStr>>(
        &mut self,
        variables: impl IntoIterator<Item = (K, V)>,
    ) -> &mut Self {
        for (name, value) in variables {
            self.env(name, value);
        }
        self
    }

    /// Removes a variable that [`env`](Self::env) has set. One that the grant sets stays.
    pub fn env_remove(&mut self, name: impl AsRef<OsStr>) -> &mut Self {
        self.env.retain(|(it, _)| it != name.as_ref());
        self
    }

    /// Removes all variables that [`env`](Self::env) has set. Those that the grant sets stay.
    pub fn env_clear(&mut self) -> &mut Self {
        self.env.clear();
        self
    }

    /// Sets the working directory, a path of the host as the child sees it.
    pub fn current_dir(&mut self, path: impl AsRef<Path>) -> &mut Self {
        self.cwd = Some(path.as_ref().to_owned());
        self
    }

    /// Ends the child `timeout` after its start. The limit of the grant applies too.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use capspawn_guest::{Command, KillReason};
    ///
    /// let slow = Command::new("sleep").arg("60").timeout(Duration::from_millis(50)).output()?;
    /// assert_eq!(slow.status.killed(), Some(KillReason::Timeout));
    /// # std::io::Result::Ok(())
    /// ```
    pub fn timeout(&mut self, timeout: Duration) -> &mut Self {
        self.timeout = Some(timeout);
        self
    }

    /// Sets standard input. The default is null, and a pipe never.
    pub fn stdin(&mut self, stdin: impl Into<Stdio>) -> &mut Self {
        self.stdin = Some(stdin.into());
        self
    }

    /// Sets standard output. The default is inherited by [`spawn`](Self::spawn) and
    /// [`status`](Self::status), and a pipe for [`output`](Self::output).
    pub fn stdout(&mut self, stdout: impl Into<Stdio>) -> &mut Self {
        self.stdout = Some(stdout.into());
        self
    }

    /// Sets standard error, with the defaults of [`stdout`](Self::stdout).
    pub fn stderr(&mut self, stderr: impl Into<Stdio>) -> &mut Self {
        self.stderr = Some(stderr.into());
        self
    }

    /// Starts a child.
    ///
    /// A file or a pipe that was set serves one child: the next one has the default.
    ///
    /// # Errors
    ///
    /// [`Error`](crate::Error) has all of them: the grant refuses the request, the program does
    /// not exist, too many children run. An argument that is not UTF-8 is
    /// [`InvalidInput`](io::ErrorKind::InvalidInput).
    pub fn spawn(&mut self) -> io::Result<Child> {
        self.spawn_with(Stdio::inherit)
    }

    /// Runs a child to its end, and returns all its output.
    ///
    /// ```
    /// use capspawn_guest::Command;
    ///
    /// let output = Command::new("sh").args(["-c", "echo out; echo err >&2; exit 7"]).output()?;
    /// assert_eq!(output.status.code(), Some(7));
    /// assert_eq!((&output.stdout[..], &output.stderr[..]), (&b"out\n"[..], &b"err\n"[..]));
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`spawn`](Self::spawn).
    pub fn output(&mut self) -> io::Result<Output> {
        self.spawn_with(Stdio::piped)?.wait_with_output()
    }

    /// Runs a child to its end. Its output goes to the component's own.
    ///
    /// # Errors
    ///
    /// Those of [`spawn`](Self::spawn).
    pub fn status(&mut self) -> io::Result<ExitStatus> {
        self.spawn()?.wait()
    }

    /// Returns the program.
    #[must_use]
    pub fn get_program(&self) -> &OsStr {
        &self.program
    }

    /// Returns the arguments.
    pub fn get_args(&self) -> impl ExactSizeIterator<Item = &OsStr> {
        self.args.iter().map(OsString::as_os_str)
    }

    /// Returns the variables that were set. The value is none for none of them, unlike in `std`.
    pub fn get_envs(&self) -> impl ExactSizeIterator<Item = (&OsStr, Option<&OsStr>)> {
        let variables = self.env.iter();
        variables.map(|(name, value)| (name.as_os_str(), Some(value.as_os_str())))
    }

    /// Returns the working directory, if one was set.
    #[must_use]
    pub fn get_current_dir(&self) -> Option<&Path> {
        self.cwd.as_deref()
    }

    fn spawn_with(&mut self, output: fn() -> Stdio) -> io::Result<Child> {
        let stdin = self.stdin.take().unwrap_or_else(Stdio::null);
        let stdout = self.stdout.take().unwrap_or_else(output);
        let stderr = self.stderr.take().unwrap_or_else(output);
        // What can be used again stays for the next child.
        self.stdin = stdin.repeatable();
        self.stdout = stdout.repeatable();
        self.stderr = stderr.repeatable();

        let options = types::SpawnOptions::new();
        options.set_stdin(&stdin.input()?);
        options.set_stdout(stdout.output()?);
        options.set_stderr(stderr.output()?);
        if !self.env.is_empty() {
            let pair = |(name, value): &(OsString, OsString)| Ok((text(name)?, text(value)?));
            let variables: io::Result<Vec<_>> = self.env.iter().map(pair).collect();
            options.set_env(&variables?);
        }
        if let Some(cwd) = &self.cwd {
            options.set_cwd(&text(cwd.as_os_str())?);
        }
        if let Some(timeout) = self.timeout {
            options.set_timeout(wait::nanoseconds(timeout));
        }
        let args: io::Result<Vec<_>> = self.args.iter().map(|arg| text(arg)).collect();
        let child = spawn::Child::spawn(&text(&self.program)?, &args?, Some(&options));
        let child = Arc::new(child.map_err(failed)?);

        let id = child.id();
        let piped = (stdin.is_piped(), stdout.is_piped(), stderr.is_piped());
        let input = stdin.link_to(|| Ok(ChildStdin::take(&child)?.into_parts().0), id)?;
        let output = stdout.link_from(
            || Ok(ChildStdout::take(&child)?.into_parts().0),
            cli::stdout::get_stdout,
            id,
        )?;
        let errors = stderr.link_from(
            || Ok(ChildStderr::take(&child)?.into_parts().0),
            cli::stderr::get_stderr,
            id,
        )?;
        [input, output, errors]
            .into_iter()
            .flatten()
            .for_each(link::add);
        Ok(Child {
            stdin: piped.0.then(|| ChildStdin::take(&child)).transpose()?,
            stdout: piped.1.then(|| ChildStdout::take(&child)).transpose()?,
            stderr: piped.2.then(|| ChildStderr::take(&child)).transpose()?,
            handle: child,
        })
    }
}

/// Returns the text of a string; the interface has no other bytes.
fn text(string: &OsStr) -> io::Result<String> {
    string.to_str().map(str::to_owned).ok_or_else(|| {
        let message = format!("{string:?} is not UTF-8, which the host cannot pass to a program");
        io::Error::new(io::ErrorKind::InvalidInput, message)
    })
}

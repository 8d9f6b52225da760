//! A request for a child.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::bindings::capspawn::process::{spawn, types};
use crate::child::{Child, Output};
use crate::error::failed;
use crate::link::{Link, Sink, Source};
use crate::pipe::{ChildStderr, ChildStdin, ChildStdout};
use crate::status::ExitStatus;
use crate::stdio::{Plan, STDERR, STDOUT, Stdio};
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
    arg0: Option<OsString>,
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
            arg0: None,
            args: Vec::new(),
            env: Vec::new(),
            cwd: None,
            timeout: None,
            stdin: None,
            stdout: None,
            stderr: None,
        }
    }

    /// Sets `argv[0]` to a name that the grant lists in `allow-arg0`.
    pub fn arg0(&mut self, arg0: impl AsRef<OsStr>) -> &mut Self {
        self.arg0 = Some(arg0.as_ref().to_owned());
        self
    }

    /// Adds an argument. One that is not UTF-8 needs `allow-bytes` in the grant.
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
    /// not exist, too many children run. A name or path that is not UTF-8 is
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
        let input = stdin.set_stdin(&options)?;
        let output = stdout.set_output(&options, &STDOUT)?;
        let errors = stderr.set_output(&options, &STDERR)?;
        self.set_rest(&options)?;
        let args: Option<Vec<&str>> = self.args.iter().map(|arg| arg.to_str()).collect();
        let args = args.unwrap_or_else(|| {
            // The interface has one list or the other.
            let args = self.args.iter().map(|arg| arg.as_encoded_bytes().to_vec());
            options.set_args_bytes(&args.collect::<Vec<_>>());
            Vec::new()
        });
        let args: Vec<String> = args.into_iter().map(str::to_owned).collect();
        let handle = spawn::Child::spawn(&text(&self.program)?, &args, Some(&options));
        let handle = Arc::new(handle.map_err(failed)?);

        let mut child = Child {
            stdin: None,
            stdout: None,
            stderr: None,
            connected: Vec::new(),
            handle,
        };
        let (handle, id) = (&child.handle, child.handle.id());
        match input {
            Plan::Done(other) => child.connected.extend(other),
            Plan::Pipe => child.stdin = Some(ChildStdin::new(handle)),
            Plan::Link(from, other) => {
                let to = Sink::Stream(handle.take_stdin().map_err(failed)?);
                link::add(Link::new(from, to).into_child(id).keep(other));
            }
        }
        match output {
            Plan::Done(other) => child.connected.extend(other),
            Plan::Pipe => child.stdout = Some(ChildStdout::new(handle)),
            Plan::Link(to, other) => {
                let from = Source::Stream(handle.take_stdout().map_err(failed)?);
                link::add(Link::new(from, to).of_child(id).keep(other));
            }
        }
        match errors {
            Plan::Done(other) => child.connected.extend(other),
            Plan::Pipe => child.stderr = Some(ChildStderr::new(handle)),
            Plan::Link(to, other) => {
                let from = Source::Stream(handle.take_stderr().map_err(failed)?);
                link::add(Link::new(from, to).of_child(id).keep(other));
            }
        }
        Ok(child)
    }

    /// Sets the options other than the streams.
    fn set_rest(&self, options: &types::SpawnOptions) -> io::Result<()> {
        let (mut texts, mut bytes) = (Vec::new(), Vec::new());
        for (name, value) in &self.env {
            match value.to_str() {
                Some(value) => texts.push((text(name)?, value.to_owned())),
                None => bytes.push((text(name)?, value.as_encoded_bytes().to_vec())),
            }
        }
        if !texts.is_empty() {
            options.set_env(&texts);
        }
        if !bytes.is_empty() {
            options.set_env_bytes(&bytes);
        }
        if let Some(arg0) = &self.arg0 {
            options.set_arg0(&text(arg0)?);
        }
        if let Some(cwd) = &self.cwd {
            options.set_cwd(&text(cwd.as_os_str())?);
        }
        if let Some(timeout) = self.timeout {
            options.set_timeout(wait::nanoseconds(timeout));
        }
        Ok(())
    }
}

/// Returns the text of a name or path; only arguments and values may be other bytes.
fn text(string: &OsStr) -> io::Result<String> {
    string.to_str().map(str::to_owned).ok_or_else(|| {
        let message = format!("{string:?} is not UTF-8, which the host cannot pass to a program");
        io::Error::new(io::ErrorKind::InvalidInput, message)
    })
}

//! A request for a child.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io};

use crate::bindings::capspawn::process::{spawn, types};
use crate::child::{Child, Output};
use crate::error::failed;
use crate::link;
use crate::link::{Link, Sink, Source};
use crate::pipe::{ChildStderr, ChildStdin, ChildStdout};
use crate::request::{Request, set_options, setters};
use crate::status::ExitStatus;
use crate::stdio::{Plan, STDERR, STDOUT, Stdio};

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
pub struct Command {
    request: Request,
    stdin: Option<Stdio>,
    stdout: Option<Stdio>,
    stderr: Option<Stdio>,
}

/// Shows the program and its arguments in quotes, as that of `std`.
impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.get_program())?;
        self.get_args().try_for_each(|arg| write!(f, " {arg:?}"))
    }
}

impl Command {
    /// A request for `program` without arguments.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        Self {
            request: Request::new(program.as_ref()),
            stdin: None,
            stdout: None,
            stderr: None,
        }
    }

    setters!();

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
        let args = set_options!(self.request, options);
        let program = self.request.program()?;
        let handle = spawn::Child::spawn(&program, &args, Some(&options));
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
}

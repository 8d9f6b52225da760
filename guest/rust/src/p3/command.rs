//! A request for a child.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::bindings::capspawn::process::spawn;
use super::bindings::capspawn::process::types::{self, SpawnOptions};
use super::bindings::wasi::cli;
use super::child::Child;
use super::convert::failed;
use super::pipe::{ChildStderr, ChildStdin, ChildStdout};
use crate::child::Output;
use crate::request::{Request, set_options, setters};
use crate::status::ExitStatus;
use crate::stdio::Access;

/// A request for a child. The same as [`crate::Command`], with async functions.
///
/// ```no_run
/// # async fn run() -> std::io::Result<()> {
/// use capspawn_guest::p3::Command;
///
/// let output = Command::new("echo").args(["hello", "world"]).output().await?;
/// assert_eq!(output.stdout, b"hello world\n");
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Command {
    request: Request,
    stdin: Option<Stdio>,
    stdout: Option<Stdio>,
    stderr: Option<Stdio>,
}

/// What a standard stream of a child is connected to. The host copies for all of them.
#[derive(Debug)]
pub struct Stdio(Kind);

#[derive(Debug)]
enum Kind {
    Null,
    Piped,
    Captured,
    Merged,
    Inherit,
    HostFile(String, Access),
    Stdout(ChildStdout),
    Stderr(ChildStderr),
    Stdin(ChildStdin),
}

impl Stdio {
    /// A pipe between the component and the child.
    #[must_use]
    pub fn piped() -> Self {
        Self(Kind::Piped)
    }

    /// End of file, or nowhere.
    #[must_use]
    pub fn null() -> Self {
        Self(Kind::Null)
    }

    /// The component's own stream.
    #[must_use]
    pub fn inherit() -> Self {
        Self(Kind::Inherit)
    }

    /// For output: kept by the host, until [`Child::captured`] returns it.
    #[must_use]
    pub fn captured() -> Self {
        Self(Kind::Captured)
    }

    /// The same destination as the other output stream.
    #[must_use]
    pub fn merged() -> Self {
        Self(Kind::Merged)
    }

    /// For standard input: the host's file at this path, as the child sees it. Where the grant has
    /// `redirect = true`.
    pub fn read_path(path: impl Into<String>) -> Self {
        Self(Kind::HostFile(path.into(), Access::Read))
    }

    /// For output: the host's file at this path, whose contents are replaced.
    pub fn write_path(path: impl Into<String>) -> Self {
        Self(Kind::HostFile(path.into(), Access::Truncate))
    }

    /// For output: the end of the host's file at this path.
    pub fn append_path(path: impl Into<String>) -> Self {
        Self(Kind::HostFile(path.into(), Access::Append))
    }
}

impl From<ChildStdin> for Stdio {
    fn from(pipe: ChildStdin) -> Self {
        Self(Kind::Stdin(pipe))
    }
}

impl From<ChildStdout> for Stdio {
    fn from(pipe: ChildStdout) -> Self {
        Self(Kind::Stdout(pipe))
    }
}

impl From<ChildStderr> for Stdio {
    fn from(pipe: ChildStderr) -> Self {
        Self(Kind::Stderr(pipe))
    }
}

/// What differs between the two output streams.
struct OutputOf {
    set: fn(&SpawnOptions, types::Stdio),
    set_file: fn(&SpawnOptions, &str, types::FileMode),
    set_pipe: fn(&SpawnOptions, types::PipeWriter),
}

const STDOUT: OutputOf = OutputOf {
    set: SpawnOptions::set_stdout,
    set_file: SpawnOptions::set_stdout_file,
    set_pipe: SpawnOptions::set_stdout_pipe,
};

const STDERR: OutputOf = OutputOf {
    set: SpawnOptions::set_stderr,
    set_file: SpawnOptions::set_stderr_file,
    set_pipe: SpawnOptions::set_stderr_pipe,
};

/// What is left to do once a child runs.
enum Plan {
    Done,
    Pipe,
    Inherit,
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

    /// Sets standard input of the next child. The default is null.
    pub fn stdin(&mut self, stdin: impl Into<Stdio>) -> &mut Self {
        self.stdin = Some(stdin.into());
        self
    }

    /// Sets standard output of the next child. The default is inherited by
    /// [`spawn`](Self::spawn) and [`status`](Self::status), and a pipe for
    /// [`output`](Self::output).
    pub fn stdout(&mut self, stdout: impl Into<Stdio>) -> &mut Self {
        self.stdout = Some(stdout.into());
        self
    }

    /// Sets standard error of the next child, with the defaults of [`stdout`](Self::stdout).
    pub fn stderr(&mut self, stderr: impl Into<Stdio>) -> &mut Self {
        self.stderr = Some(stderr.into());
        self
    }

    /// Starts a child. Dropping the future leaves none.
    ///
    /// # Errors
    ///
    /// [`Error`](crate::Error) has all of them.
    pub async fn spawn(&mut self) -> io::Result<Child> {
        self.spawn_with(Stdio::inherit).await
    }

    /// Runs a child to its end, and returns all its output. Dropping the future kills it.
    ///
    /// # Errors
    ///
    /// Those of [`spawn`](Self::spawn).
    pub async fn output(&mut self) -> io::Result<Output> {
        let child = self.spawn_with(Stdio::piped).await?;
        child.wait_with_input([]).await
    }

    /// Runs a child to its end. Its output goes to the component's own. Dropping the future kills
    /// it.
    ///
    /// # Errors
    ///
    /// Those of [`spawn`](Self::spawn).
    pub async fn status(&mut self) -> io::Result<ExitStatus> {
        self.spawn().await?.wait().await
    }

    async fn spawn_with(&mut self, output: fn() -> Stdio) -> io::Result<Child> {
        let options = SpawnOptions::new();
        let mut connected = Vec::new();
        let stdin = self.stdin.take().unwrap_or_else(Stdio::null);
        let stdin = set_stdin(&options, stdin, &mut connected)?;
        let stdout = self.stdout.take().unwrap_or_else(output);
        let stdout = set_output(&options, stdout, &STDOUT, &mut connected)?;
        let stderr = self.stderr.take().unwrap_or_else(output);
        let stderr = set_output(&options, stderr, &STDERR, &mut connected)?;
        let args = set_options!(self.request, options);
        let program = self.request.program()?;
        let handle = spawn::Child::spawn(program, args, Some(&options)).await;
        let handle = Arc::new(handle.map_err(failed)?);

        let mut copied = Vec::new();
        if let Plan::Inherit = stdin {
            let (input, _ended) = cli::stdin::read_via_stream();
            // It ends with the child, whether or not the input has ended.
            drop(handle.write_stdin(input));
        }
        if let Plan::Inherit = stdout {
            let (stream, _ended) = handle.read_stdout();
            copied.push(cli::stdout::write_via_stream(stream));
        }
        if let Plan::Inherit = stderr {
            let (stream, _ended) = handle.read_stderr();
            copied.push(cli::stderr::write_via_stream(stream));
        }
        Ok(Child {
            stdin: matches!(stdin, Plan::Pipe).then(|| ChildStdin::new(&handle)),
            stdout: matches!(stdout, Plan::Pipe).then(|| ChildStdout::new(&handle)),
            stderr: matches!(stderr, Plan::Pipe).then(|| ChildStderr::new(&handle)),
            copied,
            connected,
            handle,
        })
    }
}

fn set_stdin(
    options: &SpawnOptions,
    stdin: Stdio,
    connected: &mut Vec<Arc<spawn::Child>>,
) -> io::Result<Plan> {
    let (pipe, child) = match stdin.0 {
        Kind::Null => return Ok(Plan::Done),
        Kind::Piped => {
            options.set_stdin(&types::Stdin::Piped);
            return Ok(Plan::Pipe);
        }
        Kind::Inherit => {
            options.set_stdin(&types::Stdin::Piped);
            return Ok(Plan::Inherit);
        }
        Kind::HostFile(path, Access::Read) => {
            options.set_stdin_file(&path);
            return Ok(Plan::Done);
        }
        Kind::Stdout(pipe) => pipe.pass()?,
        Kind::Stderr(pipe) => pipe.pass()?,
        Kind::Captured | Kind::Merged | Kind::Stdin(_) | Kind::HostFile(..) => {
            return Err(crate::stdio::misplaced());
        }
    };
    options.set_stdin_pipe(pipe);
    connected.push(child);
    Ok(Plan::Done)
}

fn set_output(
    options: &SpawnOptions,
    output: Stdio,
    stream: &OutputOf,
    connected: &mut Vec<Arc<spawn::Child>>,
) -> io::Result<Plan> {
    let (kind, plan) = match output.0 {
        Kind::Null => (types::Stdio::Null, Plan::Done),
        Kind::Captured => (types::Stdio::Captured, Plan::Done),
        Kind::Merged => (types::Stdio::Merged, Plan::Done),
        Kind::Piped => (types::Stdio::Piped, Plan::Pipe),
        Kind::Inherit => (types::Stdio::Piped, Plan::Inherit),
        Kind::Stdin(pipe) => {
            let (pipe, child) = pipe.pass()?;
            (stream.set_pipe)(options, pipe);
            connected.push(child);
            return Ok(Plan::Done);
        }
        Kind::HostFile(path, access) => {
            let mode = match access {
                Access::Read => return Err(crate::stdio::misplaced()),
                Access::Truncate => types::FileMode::Truncate,
                Access::Append => types::FileMode::Append,
            };
            (stream.set_file)(options, &path, mode);
            return Ok(Plan::Done);
        }
        Kind::Stdout(_) | Kind::Stderr(_) => return Err(crate::stdio::misplaced()),
    };
    (stream.set)(options, kind);
    Ok(plan)
}

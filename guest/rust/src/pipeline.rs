//! Children that are connected: the output of one is the input of the next.

use std::io;

use crate::child::{Child, Output};
use crate::command::Command;
use crate::pipe::{ChildStdin, ChildStdout};
use crate::status::ExitStatus;
use crate::stdio::Stdio;

/// Children that are connected: the standard output of one is the standard input of the next, as
/// `|` does in a shell.
///
/// The bytes never enter the component's memory. The standard input of the first command and the
/// standard output of the last are those that the commands have set.
///
/// ```
/// use capspawn_guest::Pipeline;
///
/// let output = Pipeline::new()
///     .command("printf", ["b\na\nb\n"])
///     .command("sort", ["-u"])
///     .output()?;
/// assert_eq!(output.stdout, b"a\nb\n");
/// # std::io::Result::Ok(())
/// ```
#[derive(Debug, Default)]
#[must_use]
pub struct Pipeline(Vec<Command>);

/// The children of a [`Pipeline`].
#[derive(Debug)]
pub struct PipelineChildren {
    /// The standard input of the first child, if it is piped.
    pub stdin: Option<ChildStdin>,
    /// The standard output of the last child, if it is piped.
    pub stdout: Option<ChildStdout>,
    /// The children, in their order.
    pub children: Vec<Child>,
}

impl Pipeline {
    /// A pipeline without commands.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a program with its arguments.
    pub fn command<S: AsRef<std::ffi::OsStr>>(
        self,
        program: impl AsRef<std::ffi::OsStr>,
        args: impl IntoIterator<Item = S>,
    ) -> Self {
        let mut command = Command::new(program);
        command.args(args);
        self.then(command)
    }

    /// Adds a command.
    pub fn then(mut self, command: Command) -> Self {
        self.0.push(command);
        self
    }

    /// Sets the standard input of the first command.
    ///
    /// # Panics
    ///
    /// There is no command yet.
    pub fn stdin(mut self, stdin: impl Into<Stdio>) -> Self {
        self.0
            .first_mut()
            .expect("add a command first")
            .stdin(stdin);
        self
    }

    /// Sets the standard output of the last command.
    ///
    /// # Panics
    ///
    /// There is no command yet.
    pub fn stdout(mut self, stdout: impl Into<Stdio>) -> Self {
        self.0
            .last_mut()
            .expect("add a command first")
            .stdout(stdout);
        self
    }

    /// Starts all commands. If one does not start, those before it are killed.
    ///
    /// # Errors
    ///
    /// Those of [`Command::spawn`]. [`InvalidInput`](io::ErrorKind::InvalidInput): there is no
    /// command.
    pub fn spawn(self) -> io::Result<PipelineChildren> {
        let last = self.0.len().checked_sub(1).ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidInput, "the pipeline has no command")
        })?;
        let mut children: Vec<Child> = Vec::with_capacity(self.0.len());
        for (index, mut command) in self.0.into_iter().enumerate() {
            if let Some(before) = children.last_mut() {
                let pipe = before.stdout.take().expect("it is piped");
                command.stdin(pipe);
            }
            if index < last {
                command.stdout(Stdio::piped());
            }
            children.push(command.spawn()?);
        }
        Ok(PipelineChildren {
            stdin: children[0].stdin.take(),
            stdout: children[last].stdout.take(),
            children,
        })
    }

    /// Runs all commands to their ends. As with `pipefail` in a shell, the result is that of the
    /// last command that failed; success if none did.
    ///
    /// # Errors
    ///
    /// Those of [`spawn`](Self::spawn).
    pub fn status(self) -> io::Result<ExitStatus> {
        self.spawn()?.wait()
    }

    /// Runs all commands to their ends, and returns the output of the last one, with a status as
    /// that of [`status`](Self::status).
    ///
    /// # Errors
    ///
    /// Those of [`spawn`](Self::spawn).
    pub fn output(self) -> io::Result<Output> {
        self.stdout(Stdio::piped()).spawn()?.wait_with_input([])
    }
}

impl PipelineChildren {
    /// Closes standard input and waits for all children, as [`Pipeline::status`].
    ///
    /// # Errors
    ///
    /// None. The result has the type of that of [`Child::wait`].
    pub fn wait(mut self) -> io::Result<ExitStatus> {
        self.stdin = None;
        self.ended()
    }

    /// Writes `input` to the first child while it reads from the last one, as
    /// [`Child::wait_with_input`].
    ///
    /// # Errors
    ///
    /// A pipe failed.
    pub fn wait_with_input(mut self, input: impl AsRef<[u8]>) -> io::Result<Output> {
        let last = self.children.len() - 1;
        let pipes = (
            self.stdin.take(),
            self.stdout.take(),
            self.children[last].stderr.take(),
        );
        let (stdout, stderr) = crate::exchange::exchange(input.as_ref(), pipes)?;
        Ok(Output {
            status: self.ended()?,
            stdout,
            stderr,
        })
    }

    fn ended(&mut self) -> io::Result<ExitStatus> {
        let mut result = ExitStatus::default();
        for child in &mut self.children {
            let status = child.wait()?;
            if !status.success() {
                result = status;
            }
        }
        Ok(result)
    }
}

//! What a child's standard streams are connected to.

use std::fs::File;
use std::io;
use std::sync::Arc;

use wasip2::cli;
use wasip2::io::streams::{InputStream, OutputStream};

use crate::bindings::capspawn::process::spawn;
use crate::bindings::capspawn::process::types::{self, SpawnOptions};
use crate::link::{Sink, Source};
use crate::pipe::{ChildStderr, ChildStdin, ChildStdout};

/// What a standard stream of a child is connected to: [`std::process::Stdio`].
///
/// The pipe of another child is connected by the host, if nothing was read from it or written to it.
/// A component has no descriptors, so this crate itself copies for [`inherit`](Self::inherit) and for
/// the component's own files. It does so whenever it waits: in [`Child::wait`](crate::Child::wait), in a
/// read or write of a pipe, and in all other calls that block.
#[derive(Debug)]
pub struct Stdio(pub(crate) Kind);

#[derive(Debug)]
pub(crate) enum Kind {
    Null,
    Piped,
    Captured,
    Merged,
    Inherit,
    OwnStdout,
    OwnStderr,
    HostFile(String, Access),
    File(File),
    Stdin(ChildStdin),
    Stdout(ChildStdout),
    Stderr(ChildStderr),
}

/// How a file of the host is opened.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Access {
    Read,
    Truncate,
    Append,
}

impl Stdio {
    /// A pipe between the component and the child.
    #[must_use]
    pub fn piped() -> Self {
        Self(Kind::Piped)
    }

    /// End of file, or nowhere: `/dev/null`.
    #[must_use]
    pub fn null() -> Self {
        Self(Kind::Null)
    }

    /// The component's own stream.
    #[must_use]
    pub fn inherit() -> Self {
        Self(Kind::Inherit)
    }

    /// For output: kept by the host, up to the limit of the grant, until
    /// [`Child::captured`](crate::Child::captured) returns it. The child never blocks.
    #[must_use]
    pub fn captured() -> Self {
        Self(Kind::Captured)
    }

    /// The same destination as the other output stream: `2>&1` in a shell for standard error, and
    /// `1>&2` for standard output.
    #[must_use]
    pub fn merged() -> Self {
        Self(Kind::Merged)
    }

    /// For standard input: the host's file at this path, as the child sees it. `<` in a shell.
    ///
    /// Where the grant has `redirect = true`. The bytes do not pass through the component.
    pub fn read_path(path: impl Into<String>) -> Self {
        Self(Kind::HostFile(path.into(), Access::Read))
    }

    /// For output: the host's file at this path, whose contents are replaced. `>` in a shell. See
    /// [`read_path`](Self::read_path).
    pub fn write_path(path: impl Into<String>) -> Self {
        Self(Kind::HostFile(path.into(), Access::Truncate))
    }

    /// For output: the end of the host's file at this path. `>>` in a shell. See
    /// [`read_path`](Self::read_path).
    pub fn append_path(path: impl Into<String>) -> Self {
        Self(Kind::HostFile(path.into(), Access::Append))
    }

    /// Returns the same for another child; none if it serves one child only.
    pub(crate) fn repeatable(&self) -> Option<Self> {
        Some(Self(match self.0 {
            Kind::Null => Kind::Null,
            Kind::Piped => Kind::Piped,
            Kind::Captured => Kind::Captured,
            Kind::Merged => Kind::Merged,
            Kind::Inherit => Kind::Inherit,
            Kind::OwnStdout => Kind::OwnStdout,
            Kind::OwnStderr => Kind::OwnStderr,
            Kind::HostFile(ref path, access) => Kind::HostFile(path.clone(), access),
            Kind::File(_) | Kind::Stdin(_) | Kind::Stdout(_) | Kind::Stderr(_) => return None,
        }))
    }

    /// Sets standard input in `options`, and returns what is left to do.
    pub(crate) fn set_stdin(self, options: &SpawnOptions) -> io::Result<Plan<Source>> {
        let plan = match self.0 {
            Kind::Null => {
                options.set_stdin(&types::Stdin::Null);
                return Ok(Plan::Done(None));
            }
            Kind::HostFile(path, Access::Read) => {
                options.set_stdin_file(&path);
                return Ok(Plan::Done(None));
            }
            Kind::Piped => Plan::Pipe,
            Kind::Inherit => Plan::Link(Source::Stream(cli::stdin::get_stdin()), None),
            Kind::File(file) => Plan::Link(Source::File(file), None),
            Kind::Stdout(mut pipe) => match pipe.pass()? {
                Some((reader, child)) => {
                    options.set_stdin_pipe(reader);
                    return Ok(Plan::Done(Some(child)));
                }
                None => linked(pipe.into_parts()?),
            },
            Kind::Stderr(mut pipe) => match pipe.pass()? {
                Some((reader, child)) => {
                    options.set_stdin_pipe(reader);
                    return Ok(Plan::Done(Some(child)));
                }
                None => linked(pipe.into_parts()?),
            },
            Kind::Captured | Kind::Merged | Kind::Stdin(_) => return Err(misplaced()),
            Kind::HostFile(..) | Kind::OwnStdout | Kind::OwnStderr => return Err(misplaced()),
        };
        options.set_stdin(&types::Stdin::Piped);
        Ok(plan)
    }

    /// Sets an output stream in `options`, and returns what is left to do.
    pub(crate) fn set_output(
        self,
        options: &SpawnOptions,
        stream: &OutputOf,
    ) -> io::Result<Plan<Sink>> {
        let done = |kind| {
            (stream.set)(options, kind);
            Ok(Plan::Done(None))
        };
        let plan = match self.0 {
            Kind::Null => return done(types::Stdio::Null),
            Kind::Captured => return done(types::Stdio::Captured),
            Kind::Merged => return done(types::Stdio::Merged),
            Kind::HostFile(path, access) => {
                let mode = match access {
                    Access::Read => return Err(misplaced()),
                    Access::Truncate => types::FileMode::Truncate,
                    Access::Append => types::FileMode::Append,
                };
                (stream.set_file)(options, &path, mode);
                return Ok(Plan::Done(None));
            }
            Kind::Piped => Plan::Pipe,
            Kind::Inherit => Plan::Link(Sink::Stream((stream.own)()), None),
            Kind::OwnStdout => Plan::Link(Sink::Stream(cli::stdout::get_stdout()), None),
            Kind::OwnStderr => Plan::Link(Sink::Stream(cli::stderr::get_stderr()), None),
            Kind::File(file) => Plan::Link(Sink::File(file), None),
            Kind::Stdin(mut pipe) => match pipe.pass()? {
                Some((writer, child)) => {
                    (stream.set_pipe)(options, writer);
                    return Ok(Plan::Done(Some(child)));
                }
                None => {
                    let (stream, child) = pipe.into_parts()?;
                    Plan::Link(Sink::Stream(stream), Some(child))
                }
            },
            Kind::Stdout(_) | Kind::Stderr(_) => return Err(misplaced()),
        };
        (stream.set)(options, types::Stdio::Piped);
        Ok(plan)
    }
}

/// What is left to do once the options of a stream are set and its child runs.
pub(crate) enum Plan<T> {
    /// Nothing. The child that writes to or reads from the stream, if there is one.
    Done(Option<Arc<spawn::Child>>),
    /// Give the pipe to the caller.
    Pipe,
    /// Copy between the pipe and this stream, which may be that of another child.
    Link(T, Option<Arc<spawn::Child>>),
}

/// What differs between the two output streams.
pub(crate) struct OutputOf {
    set: fn(&SpawnOptions, types::Stdio),
    set_file: fn(&SpawnOptions, &str, types::FileMode),
    set_pipe: fn(&SpawnOptions, types::PipeWriter),
    own: fn() -> OutputStream,
}

pub(crate) const STDOUT: OutputOf = OutputOf {
    set: SpawnOptions::set_stdout,
    set_file: SpawnOptions::set_stdout_file,
    set_pipe: SpawnOptions::set_stdout_pipe,
    own: cli::stdout::get_stdout,
};

pub(crate) const STDERR: OutputOf = OutputOf {
    set: SpawnOptions::set_stderr,
    set_file: SpawnOptions::set_stderr_file,
    set_pipe: SpawnOptions::set_stderr_pipe,
    own: cli::stderr::get_stderr,
};

/// The pipe was used before, so that this crate copies the rest.
fn linked((stream, child): (InputStream, Arc<spawn::Child>)) -> Plan<Source> {
    Plan::Link(Source::Stream(stream), Some(child))
}

pub(crate) fn misplaced() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidInput,
        "a standard stream of this kind is not possible here: input needs a source, and output a destination",
    )
}

impl From<File> for Stdio {
    fn from(file: File) -> Self {
        Self(Kind::File(file))
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

impl From<io::Stdout> for Stdio {
    fn from(_: io::Stdout) -> Self {
        Self(Kind::OwnStdout)
    }
}

impl From<io::Stderr> for Stdio {
    fn from(_: io::Stderr) -> Self {
        Self(Kind::OwnStderr)
    }
}

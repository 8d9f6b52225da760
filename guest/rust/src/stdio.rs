//! What a child's standard streams are connected to.

use std::fs::File;
use std::io;
use std::sync::Arc;

use wasip2::cli;
use wasip2::io::streams::{InputStream, OutputStream};

use crate::bindings::capspawn::process::{spawn, types};
use crate::link::{Link, Sink, Source};
use crate::pipe::{ChildStderr, ChildStdin, ChildStdout};

/// What a standard stream of a child is connected to: [`std::process::Stdio`].
///
/// A child's file or pipe is the host's, and a component has neither. So [`inherit`](Self::inherit),
/// a file and the pipe of another child are copied by this crate, whenever it waits: in
/// [`Child::wait`](crate::Child::wait), in a read or write of a pipe, and in all other calls
/// that block.
#[derive(Debug)]
pub struct Stdio(pub(crate) Kind);

#[derive(Debug)]
pub(crate) enum Kind {
    Null,
    Piped,
    Captured,
    Merged,
    Inherit,
    File(File),
    Stdin(ChildStdin),
    Stdout(ChildStdout),
    Stderr(ChildStderr),
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

    /// For standard error: the same destination as standard output, `2>&1` in a shell.
    #[must_use]
    pub fn merged() -> Self {
        Self(Kind::Merged)
    }

    /// Returns the same for another child; none if it serves one child only.
    pub(crate) fn repeatable(&self) -> Option<Self> {
        Some(Self(match self.0 {
            Kind::Null => Kind::Null,
            Kind::Piped => Kind::Piped,
            Kind::Captured => Kind::Captured,
            Kind::Merged => Kind::Merged,
            Kind::Inherit => Kind::Inherit,
            Kind::File(_) | Kind::Stdin(_) | Kind::Stdout(_) | Kind::Stderr(_) => return None,
        }))
    }

    /// Whether a pipe for it is asked for with [`piped`](Self::piped).
    pub(crate) fn is_piped(&self) -> bool {
        matches!(self.0, Kind::Piped)
    }

    /// Returns what the host is to connect standard input to.
    pub(crate) fn input(&self) -> io::Result<types::Stdin> {
        match self.0 {
            Kind::Null => Ok(types::Stdin::Null),
            Kind::Piped | Kind::Inherit | Kind::File(_) => Ok(types::Stdin::Piped),
            Kind::Stdout(_) | Kind::Stderr(_) => Ok(types::Stdin::Piped),
            Kind::Captured | Kind::Merged | Kind::Stdin(_) => Err(misplaced()),
        }
    }

    /// Returns what the host is to connect an output stream to.
    pub(crate) fn output(&self) -> io::Result<types::Stdio> {
        match self.0 {
            Kind::Null => Ok(types::Stdio::Null),
            Kind::Captured => Ok(types::Stdio::Captured),
            Kind::Merged => Ok(types::Stdio::Merged),
            Kind::Piped | Kind::Inherit | Kind::File(_) => Ok(types::Stdio::Piped),
            Kind::Stdin(_) => Ok(types::Stdio::Piped),
            Kind::Stdout(_) | Kind::Stderr(_) => Err(misplaced()),
        }
    }

    /// Returns the link into `stdin` of `child`; none if the host serves it alone.
    pub(crate) fn link_to(
        self,
        stdin: impl FnOnce() -> io::Result<OutputStream>,
        child: u64,
    ) -> io::Result<Option<Link>> {
        let (from, connected) = match self.0 {
            Kind::Inherit => (cli::stdin::get_stdin(), None),
            Kind::Stdout(pipe) => with_child(pipe.into_parts()),
            Kind::Stderr(pipe) => with_child(pipe.into_parts()),
            Kind::File(file) => {
                let to = Sink::Stream(stdin()?);
                return Ok(Some(Link::new(Source::File(file), to).into_child(child)));
            }
            Kind::Null | Kind::Piped | Kind::Captured | Kind::Merged | Kind::Stdin(_) => {
                return Ok(None);
            }
        };
        let link = Link::new(Source::Stream(from), Sink::Stream(stdin()?));
        Ok(Some(link.into_child(child).keep(connected)))
    }

    /// Returns the link from an output stream of `child`; `own` is the component's stream of the same name.
    pub(crate) fn link_from(
        self,
        from: impl FnOnce() -> io::Result<InputStream>,
        own: impl FnOnce() -> OutputStream,
        child: u64,
    ) -> io::Result<Option<Link>> {
        let (to, connected) = match self.0 {
            Kind::Inherit => (Sink::Stream(own()), None),
            Kind::File(file) => (Sink::File(file), None),
            Kind::Stdin(pipe) => {
                let (stream, child) = pipe.into_parts();
                (Sink::Stream(stream), Some(child))
            }
            Kind::Null | Kind::Piped | Kind::Captured | Kind::Merged => return Ok(None),
            Kind::Stdout(_) | Kind::Stderr(_) => return Ok(None),
        };
        let link = Link::new(Source::Stream(from()?), to);
        Ok(Some(link.of_child(child).keep(connected)))
    }
}

fn with_child(
    (stream, child): (InputStream, Arc<spawn::Child>),
) -> (InputStream, Option<Arc<spawn::Child>>) {
    (stream, Some(child))
}

fn misplaced() -> io::Error {
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
        Self::inherit()
    }
}

impl From<io::Stderr> for Stdio {
    fn from(_: io::Stderr) -> Self {
        Self::inherit()
    }
}

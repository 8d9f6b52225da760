//! A child that was started.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use wasip2::io::poll::Pollable;

use crate::bindings::capspawn::process::{spawn, types};
use crate::error::failed;
use crate::exchange::exchange;
use crate::pipe::{ChildStderr, ChildStdin, ChildStdout};
use crate::status::ExitStatus;
use crate::{link, reactor, wait};

/// A child that was started: [`std::process::Child`].
///
/// Unlike in `std`, a child does not outlive the component's interest in it: when the `Child`
/// and all of its pipes are dropped, the child and all that it started are killed.
#[derive(Debug)]
pub struct Child {
    /// The writing end of a standard input that is [`Stdio::piped`](crate::Stdio::piped).
    pub stdin: Option<ChildStdin>,
    /// The reading end of a standard output that is piped.
    pub stdout: Option<ChildStdout>,
    /// The reading end of a standard error that is piped.
    pub stderr: Option<ChildStderr>,
    /// The children at the other ends of its streams, which live as long as it.
    pub(crate) connected: Vec<Arc<spawn::Child>>,
    pub(crate) handle: Arc<spawn::Child>,
}

/// How a child ended, and its output: [`std::process::Output`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Output {
    /// How it ended.
    pub status: ExitStatus,
    /// What it wrote to standard output, if that was piped.
    pub stdout: Vec<u8>,
    /// What it wrote to standard error, if that was piped.
    pub stderr: Vec<u8>,
}

/// What the host has kept of a stream that is [`Stdio::captured`](crate::Stdio::captured).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Captured {
    /// The first bytes, up to the limit of the grant.
    pub data: Vec<u8>,
    /// The number of bytes after them, which were discarded.
    pub dropped: u64,
    /// Whether the stream has ended.
    pub complete: bool,
}

/// What a child and all that it started have used; none is what the host does not measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// The most memory in use at one time, in bytes.
    pub peak_memory_bytes: Option<u64>,
    /// The processor time.
    pub cpu_time: Option<Duration>,
    /// The largest number of processes and threads at one time.
    pub peak_tasks: Option<u64>,
}

pub use types::Signal;

impl Child {
    /// Returns a number that no other child of this component has. It is no process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        u32::try_from(self.handle.id()).unwrap_or(u32::MAX)
    }

    /// Returns how the child ended; none while it runs. Blocks only after the child's end, until
    /// the rest of its inherited output is copied.
    ///
    /// # Errors
    ///
    /// None. The result has the type of that of `std`.
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        let status = self.handle.poll();
        if status.is_some() {
            link::finish(self.handle.id());
        }
        Ok(status.map(ExitStatus::from))
    }

    /// Closes standard input, and blocks until the child has ended.
    ///
    /// A child that fills a pipe which is not read never ends: see
    /// [`wait_with_output`](Self::wait_with_output).
    ///
    /// # Errors
    ///
    /// None. The result has the type of that of `std`.
    pub fn wait(&mut self) -> io::Result<ExitStatus> {
        self.stdin = None;
        loop {
            if let Some(status) = self.try_wait()? {
                return Ok(status);
            }
            wait::block(&[&self.handle.subscribe()]);
        }
    }

    /// Closes standard input, and blocks until the child has ended or `timeout` has passed.
    /// Then the result is none, and the child still runs.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use capspawn_guest::Command;
    ///
    /// let mut child = Command::new("sleep").arg("60").spawn()?;
    /// if child.wait_timeout(Duration::from_millis(50))?.is_none() {
    ///     child.kill_tree(Duration::ZERO)?;
    /// }
    /// assert!(!child.wait()?.success());
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// # Errors
    ///
    /// None. The result has the type of that of [`wait`](Self::wait).
    pub fn wait_timeout(&mut self, timeout: Duration) -> io::Result<Option<ExitStatus>> {
        self.stdin = None;
        let timer = wait::timer(timeout);
        loop {
            if let Some(status) = self.try_wait()? {
                return Ok(Some(status));
            }
            if timer.ready() {
                return Ok(None);
            }
            wait::block(&[&self.handle.subscribe(), &timer]);
        }
    }

    /// Closes standard input, reads both pipes to their ends at once, and returns how the child
    /// ended.
    ///
    /// # Errors
    ///
    /// A pipe failed.
    pub fn wait_with_output(self) -> io::Result<Output> {
        self.wait_with_input([])
    }

    /// Writes `input` to standard input while it reads both pipes, so that no full pipe blocks
    /// the child, and returns how the child ended. Input that the child does not read is dropped.
    ///
    /// ```
    /// use capspawn_guest::{Command, Stdio};
    ///
    /// let mut cat = Command::new("cat");
    /// let child = cat.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    /// let input = vec![b'x'; 1 << 20];
    /// assert_eq!(child.wait_with_input(&input)?.stdout, input);
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// # Errors
    ///
    /// A pipe failed.
    pub fn wait_with_input(mut self, input: impl AsRef<[u8]>) -> io::Result<Output> {
        let pipes = (self.stdin.take(), self.stdout.take(), self.stderr.take());
        let (stdout, stderr) = exchange(input.as_ref(), pipes)?;
        Ok(Output {
            status: self.wait()?,
            stdout,
            stderr,
        })
    }

    /// Waits until the child has ended, in [`block_on`](crate::block_on).
    ///
    /// # Errors
    ///
    /// None. The result has the type of that of [`wait`](Self::wait).
    pub async fn wait_async(mut self) -> io::Result<ExitStatus> {
        self.stdin = None;
        reactor::ready(|| self.handle.subscribe()).await;
        self.wait()
    }

    /// Returns a pollable that is ready once the child has ended, for an executor that polls
    /// WASI itself. It may outlive the child.
    #[must_use]
    pub fn subscribe(&self) -> Pollable {
        self.handle.subscribe()
    }

    /// Kills the child at once. What it has started is killed after it.
    ///
    /// # Errors
    ///
    /// The host cannot send signals. None if the child has ended.
    pub fn kill(&mut self) -> io::Result<()> {
        self.signal(Signal::Kill)
    }

    /// Sends SIGTERM to the child and all that it has started, and kills what still runs after
    /// `grace`. Returns at once.
    ///
    /// # Errors
    ///
    /// None. The result has the type of that of [`kill`](Self::kill).
    pub fn kill_tree(&mut self, grace: Duration) -> io::Result<()> {
        self.handle.kill(wait::nanoseconds(grace));
        Ok(())
    }

    /// Sends a signal to the child, and not to what it has started.
    ///
    /// # Errors
    ///
    /// The host cannot send it. None if the child has ended.
    pub fn signal(&mut self, signal: Signal) -> io::Result<()> {
        self.handle.signal(signal).map_err(failed)
    }

    /// Sends a signal to the child and to all that it has started.
    ///
    /// # Errors
    ///
    /// The host cannot send it. None if the child has ended.
    pub fn signal_tree(&mut self, signal: Signal) -> io::Result<()> {
        self.handle.signal_tree(signal).map_err(failed)
    }

    /// Returns what the host has kept of the streams that are captured: standard output, then
    /// standard error. Works while the child runs, and never blocks.
    ///
    /// ```
    /// use capspawn_guest::{Command, Stdio};
    ///
    /// let mut child = Command::new("echo").arg("hello").stdout(Stdio::captured()).spawn()?;
    /// child.wait()?;
    /// assert_eq!(child.captured().0.data, b"hello\n");
    /// # std::io::Result::Ok(())
    /// ```
    #[must_use]
    pub fn captured(&self) -> (Captured, Captured) {
        let (stdout, stderr) = self.handle.captured(0, 0);
        let kept = |capture: types::Capture| Captured {
            data: capture.data,
            dropped: capture.dropped,
            complete: capture.complete,
        };
        (kept(stdout), kept(stderr))
    }

    /// Returns what the child and all that it started have used so far.
    #[must_use]
    pub fn usage(&self) -> Usage {
        let usage = self.handle.usage();
        Usage {
            peak_memory_bytes: usage.peak_memory,
            cpu_time: usage.cpu_time.map(Duration::from_nanos),
            peak_tasks: usage.peak_tasks,
        }
    }

    /// Leaves the child to the host, which keeps it when the component ends, and returns a key
    /// by which the same component can [`attach`](Self::attach) to it once.
    ///
    /// # Errors
    ///
    /// The grant does not allow it, or too many children are detached.
    pub fn detach(&self) -> io::Result<String> {
        self.handle.detach().map_err(failed)
    }

    /// Attaches to a child that an earlier instance of this component has detached.
    ///
    /// # Errors
    ///
    /// [`NotFound`](io::ErrorKind::NotFound): no child has this key, or it was used before.
    pub fn attach(key: &str) -> io::Result<Self> {
        let handle = Arc::new(spawn::Child::attach(key).map_err(failed)?);
        Ok(Self {
            // A stream that is not piped, or was taken before, is none.
            stdin: ChildStdin::taken(&handle).ok(),
            stdout: ChildStdout::taken(&handle).ok(),
            stderr: ChildStderr::taken(&handle).ok(),
            connected: Vec::new(),
            handle,
        })
    }
}

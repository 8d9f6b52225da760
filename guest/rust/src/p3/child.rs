//! A child that was started.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use wit_bindgen::FutureReader;

use super::bindings::capspawn::process::spawn;
use super::bindings::capspawn::process::types::Capture;
use super::bindings::wasi::cli::types::ErrorCode;
use super::convert::{failed, signal, status};
use super::join::join;
use super::pipe::{ChildStderr, ChildStdin, ChildStdout};
use crate::child::{Captured, Output, Signal, Usage};
use crate::status::ExitStatus;
use crate::wait::nanoseconds;

/// A child that was started. When it and all of its pipes are dropped, the child and all that it
/// started are killed.
#[derive(Debug)]
pub struct Child {
    /// The writing end of a standard input that is piped.
    pub stdin: Option<ChildStdin>,
    /// The reading end of a standard output that is piped.
    pub stdout: Option<ChildStdout>,
    /// The reading end of a standard error that is piped.
    pub stderr: Option<ChildStderr>,
    /// Resolve when all of an inherited stream is written.
    pub(super) copied: Vec<FutureReader<Result<(), ErrorCode>>>,
    /// The children at the other ends of its streams, which live as long as it.
    #[expect(dead_code, reason = "dropping them ends the children")]
    pub(super) connected: Vec<Arc<spawn::Child>>,
    pub(super) handle: Arc<spawn::Child>,
}

impl Child {
    /// Returns a number that no other child of this component has. It is no process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        u32::try_from(self.handle.id()).unwrap_or(u32::MAX)
    }

    /// Returns how the child ended; none while it runs.
    #[must_use]
    pub fn try_wait(&mut self) -> Option<ExitStatus> {
        self.handle.poll().map(status)
    }

    /// Closes standard input, and waits until the child has ended and its inherited output is
    /// written. Dropping the future loses nothing.
    ///
    /// # Errors
    ///
    /// None. The result has the type of that of `std`.
    pub async fn wait(&mut self) -> io::Result<ExitStatus> {
        self.stdin = None;
        let ended = self.handle.wait(None).await;
        while let Some(copied) = self.copied.pop() {
            // A standard stream of the component that is closed is no failure of the child.
            let _ = copied.await;
        }
        Ok(status(
            ended.expect("without a timeout it waits for the end"),
        ))
    }

    /// Closes standard input, and waits until the child has ended or `timeout` has passed. Then
    /// the result is none, and the child still runs.
    ///
    /// # Errors
    ///
    /// None. The result has the type of that of [`wait`](Self::wait).
    pub async fn wait_timeout(&mut self, timeout: Duration) -> io::Result<Option<ExitStatus>> {
        self.stdin = None;
        match self.handle.wait(Some(nanoseconds(timeout))).await {
            Some(_) => self.wait().await.map(Some),
            None => Ok(None),
        }
    }

    /// Closes standard input, reads both pipes to their ends, and returns how the child ended.
    ///
    /// # Errors
    ///
    /// A pipe failed.
    pub async fn wait_with_output(self) -> io::Result<Output> {
        self.wait_with_input([]).await
    }

    /// Writes `input` to standard input while it reads both pipes, and returns how the child
    /// ended. Input that the child does not read is dropped.
    ///
    /// # Errors
    ///
    /// A pipe failed.
    pub async fn wait_with_input(mut self, input: impl Into<Vec<u8>>) -> io::Result<Output> {
        let input = input.into();
        let stdin = self.stdin.take();
        let feed = async {
            if let Some(mut stdin) = stdin
                && !input.is_empty()
            {
                // The child has closed its input, which is no failure.
                let _ = stdin.write_all(input).await;
            }
        };
        let stdout = self.stdout.take();
        let out = async {
            match stdout {
                Some(pipe) => pipe.read_to_end().await,
                None => Ok(Vec::new()),
            }
        };
        let stderr = self.stderr.take();
        let err = async {
            match stderr {
                Some(pipe) => pipe.read_to_end().await,
                None => Ok(Vec::new()),
            }
        };
        let ((), (stdout, stderr)) = join(feed, join(out, err)).await;
        Ok(Output {
            stdout: stdout?,
            stderr: stderr?,
            status: self.wait().await?,
        })
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
    pub fn kill_tree(&mut self, grace: Duration) {
        self.handle.kill(nanoseconds(grace));
    }

    /// Sends a signal to the child, and not to what it has started.
    ///
    /// # Errors
    ///
    /// The host cannot send it. None if the child has ended.
    pub fn signal(&mut self, sent: Signal) -> io::Result<()> {
        self.handle.signal(signal(sent)).map_err(failed)
    }

    /// Sends a signal to the child and to all that it has started.
    ///
    /// # Errors
    ///
    /// The host cannot send it. None if the child has ended.
    pub fn signal_tree(&mut self, sent: Signal) -> io::Result<()> {
        self.handle.signal_tree(signal(sent)).map_err(failed)
    }

    /// Returns what the host has kept of the streams that are captured: standard output, then
    /// standard error. Works while the child runs.
    #[must_use]
    pub fn captured(&self) -> (Captured, Captured) {
        let (stdout, stderr) = self.handle.captured(0, 0);
        let kept = |capture: Capture| Captured {
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
}

/// Waits until one of `children` has ended, and returns its index and how it ended.
///
/// # Errors
///
/// [`InvalidInput`](io::ErrorKind::InvalidInput): there are no children.
pub async fn wait_any(children: &mut [Child]) -> io::Result<(usize, ExitStatus)> {
    if children.is_empty() {
        let message = "there are no children to wait for";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    type Wait<'a> = Pin<Box<dyn Future<Output = io::Result<ExitStatus>> + 'a>>;
    let mut waits: Vec<Wait<'_>> = Vec::with_capacity(children.len());
    for child in children {
        waits.push(Box::pin(child.wait()));
    }
    poll_fn(|context| {
        for (index, wait) in waits.iter_mut().enumerate() {
            if let Poll::Ready(status) = wait.as_mut().poll(context) {
                return Poll::Ready(status.map(|status| (index, status)));
            }
        }
        Poll::Pending
    })
    .await
}

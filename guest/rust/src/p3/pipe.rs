//! The component's ends of a child's pipes.

use std::io;
use std::sync::Arc;

use wit_bindgen::{FutureReader, StreamReader, StreamResult, StreamWriter};

use super::bindings::capspawn::process::spawn;
use super::bindings::capspawn::process::types::{ErrorCode, PipeReader, PipeWriter};
use super::bindings::wit_stream;
use super::convert::failed;
use crate::error::Error;

/// The most bytes that one read returns: as many as a pipe of Linux holds.
const PIPE_BYTES: usize = 64 * 1024;

/// Resolves when a transfer has ended.
type Ended = FutureReader<Result<(), ErrorCode>>;

/// The writing end of a child's standard input. Dropping it is the end of the input.
#[derive(Debug)]
pub struct ChildStdin {
    open: Option<(StreamWriter<u8>, Ended)>,
    child: Arc<spawn::Child>,
}

impl ChildStdin {
    pub(super) fn new(child: &Arc<spawn::Child>) -> Self {
        let child = Arc::clone(child);
        Self { open: None, child }
    }

    fn open(&mut self) -> &mut (StreamWriter<u8>, Ended) {
        self.open.get_or_insert_with(|| {
            let (writer, reader) = wit_stream::new();
            (writer, self.child.write_stdin(reader))
        })
    }

    /// Writes all of `bytes`, as fast as the child reads.
    ///
    /// # Errors
    ///
    /// [`BrokenPipe`](io::ErrorKind::BrokenPipe): the child has closed its end.
    pub async fn write_all(&mut self, bytes: impl Into<Vec<u8>>) -> io::Result<()> {
        let rest = self.open().0.write_all(bytes.into()).await;
        match rest.is_empty() {
            true => Ok(()),
            false => Err(Error::BrokenPipe.into()),
        }
    }

    /// Ends the input, and waits until all of it is in the pipe.
    ///
    /// # Errors
    ///
    /// [`BrokenPipe`](io::ErrorKind::BrokenPipe): the child has closed its end before.
    pub async fn close(mut self) -> io::Result<()> {
        self.open();
        let (writer, ended) = self.open.take().ok_or(Error::InvalidState)?;
        drop(writer);
        ended.await.map_err(failed)
    }

    /// Passes the pipe on to another child.
    pub(super) fn pass(self) -> io::Result<(PipeWriter, Arc<spawn::Child>)> {
        let passed = self.child.pass_stdin().map_err(failed)?;
        Ok((passed, Arc::clone(&self.child)))
    }
}

impl Drop for ChildStdin {
    /// Ends an input that was never used; if it was passed on, nothing happens.
    fn drop(&mut self) {
        self.open();
    }
}

/// Both output streams of a child read alike.
macro_rules! output {
    ($(#[$doc:meta])* $name:ident, $read:ident, $pass:ident) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name {
            open: Option<(StreamReader<u8>, Option<Ended>)>,
            child: Arc<spawn::Child>,
        }

        impl $name {
            pub(super) fn new(child: &Arc<spawn::Child>) -> Self {
                let child = Arc::clone(child);
                Self { open: None, child }
            }

            fn open(&mut self) -> &mut (StreamReader<u8>, Option<Ended>) {
                self.open.get_or_insert_with(|| {
                    let (stream, ended) = self.child.$read();
                    (stream, Some(ended))
                })
            }

            /// Waits for output, and returns what is there, at most 64 KiB; nothing at the end.
            ///
            /// # Errors
            ///
            /// The pipe failed.
            pub async fn read(&mut self) -> io::Result<Vec<u8>> {
                let (stream, ended) = self.open();
                loop {
                    let (result, bytes) = stream.read(Vec::with_capacity(PIPE_BYTES)).await;
                    if !bytes.is_empty() {
                        return Ok(bytes);
                    }
                    if result == StreamResult::Dropped {
                        return match ended.take() {
                            Some(ended) => ended.await.map(|()| Vec::new()).map_err(failed),
                            None => Ok(Vec::new()),
                        };
                    }
                }
            }

            /// Reads all output to its end.
            ///
            /// # Errors
            ///
            /// The pipe failed.
            pub async fn read_to_end(mut self) -> io::Result<Vec<u8>> {
                let mut all = Vec::new();
                loop {
                    let bytes = self.read().await?;
                    if bytes.is_empty() {
                        return Ok(all);
                    }
                    all.extend_from_slice(&bytes);
                }
            }

            /// Passes the pipe on to another child.
            pub(super) fn pass(self) -> io::Result<(PipeReader, Arc<spawn::Child>)> {
                let passed = self.child.$pass().map_err(failed)?;
                Ok((passed, Arc::clone(&self.child)))
            }
        }

        impl Drop for $name {
            /// Closes a pipe that was never used; if it was passed on, nothing happens.
            fn drop(&mut self) {
                self.open();
            }
        }
    };
}

output!(
    /// The reading end of a child's standard output.
    ChildStdout,
    read_stdout,
    pass_stdout
);
output!(
    /// The reading end of a child's standard error.
    ChildStderr,
    read_stderr,
    pass_stderr
);

//! The child's ends of its standard streams, for a task.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;

use capspawn_native::launch::ChildStdio;
use rustix::fs::{FileType, fstat};
use tokio::net::unix::pipe;

use crate::script::Output;

/// Bytes read at once: the size of a pipe.
const READ_BYTES: usize = 64 * 1024;

/// The three streams of a child. A stream that is closed, or leads nowhere, is none.
#[derive(Debug)]
pub(super) struct Streams {
    pub(super) stdin: Option<Reader>,
    pub(super) stdout: Option<Writer>,
    pub(super) stderr: Option<Writer>,
}

impl Streams {
    /// Takes the streams of a child, to be used on the current runtime.
    ///
    /// # Errors
    ///
    /// A stream cannot be registered.
    pub(super) fn new(stdio: ChildStdio) -> io::Result<Self> {
        Ok(Self {
            stdin: stdio.stdin.map(Reader::new).transpose()?,
            stdout: stdio.stdout.map(Writer::new).transpose()?,
            stderr: stdio.stderr.map(Writer::new).transpose()?,
        })
    }

    pub(super) fn output(&mut self, output: Output) -> &mut Option<Writer> {
        match output {
            Output::Stdout => &mut self.stdout,
            Output::Stderr => &mut self.stderr,
        }
    }
}

fn is_pipe(fd: &OwnedFd) -> io::Result<bool> {
    Ok(FileType::from_raw_mode(fstat(fd)?.st_mode) == FileType::Fifo)
}

/// Standard input: a pipe, or a file.
#[derive(Debug)]
pub(super) enum Reader {
    Pipe(pipe::Receiver),
    File(File),
}

impl Reader {
    fn new(fd: OwnedFd) -> io::Result<Self> {
        if is_pipe(&fd)? {
            return pipe::Receiver::from_owned_fd(fd).map(Self::Pipe);
        }
        Ok(Self::File(fd.into()))
    }

    /// Reads what is there, and waits for it; nothing is the end.
    pub(super) async fn read(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; READ_BYTES];
        let length = match self {
            Self::File(file) => file.read(&mut bytes)?,
            Self::Pipe(pipe) => loop {
                pipe.readable().await?;
                match pipe.try_read(&mut bytes) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    result => break result?,
                }
            },
        };
        bytes.truncate(length);
        Ok(bytes)
    }
}

/// Standard output or standard error: a pipe, or a file.
#[derive(Debug)]
pub(super) enum Writer {
    Pipe(pipe::Sender),
    File(File),
}

impl Writer {
    fn new(fd: OwnedFd) -> io::Result<Self> {
        if is_pipe(&fd)? {
            return pipe::Sender::from_owned_fd(fd).map(Self::Pipe);
        }
        Ok(Self::File(fd.into()))
    }

    /// Writes all of `bytes`, and waits for room.
    pub(super) async fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        let pipe = match self {
            Self::File(file) => return file.write_all(bytes),
            Self::Pipe(pipe) => pipe,
        };
        while !bytes.is_empty() {
            pipe.writable().await?;
            match pipe.try_write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => bytes = &bytes[result?..],
            }
        }
        Ok(())
    }
}

//! Writes to a child and reads from it at the same time.

use std::io;

use wasip2::io::poll::Pollable;

use crate::pipe::{ChildStderr, ChildStdin, ChildStdout};
use crate::wait;

type Pipes = (Option<ChildStdin>, Option<ChildStdout>, Option<ChildStderr>);

/// Writes `input`, and reads both outputs to their ends.
pub(crate) fn exchange(
    mut input: &[u8],
    (mut stdin, mut stdout, mut stderr): Pipes,
) -> io::Result<(Vec<u8>, Vec<u8>)> {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    loop {
        if let Some(pipe) = &mut stdin
            && write(pipe, &mut input)?
        {
            stdin = None;
        }
        if let Some(pipe) = &mut stdout
            && read(&mut out, || pipe.try_read())?
        {
            stdout = None;
        }
        if let Some(pipe) = &mut stderr
            && read(&mut err, || pipe.try_read())?
        {
            stderr = None;
        }
        let pollables: [Option<Pollable>; 3] = [
            stdin.as_mut().map(ChildStdin::subscribe).transpose()?,
            stdout.as_mut().map(ChildStdout::subscribe).transpose()?,
            stderr.as_mut().map(ChildStderr::subscribe).transpose()?,
        ];
        let wanted: Vec<&Pollable> = pollables.iter().flatten().collect();
        if wanted.is_empty() {
            return Ok((out, err));
        }
        wait::block(&wanted);
    }
}

/// Writes what the pipe takes now. Returns whether it can be closed.
fn write(pipe: &mut ChildStdin, input: &mut &[u8]) -> io::Result<bool> {
    while !input.is_empty() {
        match pipe.try_write(input) {
            Ok(0) => return Ok(false),
            Ok(count) => *input = &input[count..],
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(true),
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

/// Reads what is there now. Returns whether the stream has ended.
fn read(
    bytes: &mut Vec<u8>,
    mut try_read: impl FnMut() -> io::Result<Option<Vec<u8>>>,
) -> io::Result<bool> {
    loop {
        match try_read()? {
            None => return Ok(false),
            Some(more) if more.is_empty() => return Ok(true),
            Some(more) => bytes.extend_from_slice(&more),
        }
    }
}

//! A process that an attempt forks, for what a child cannot do itself, or must not survive.

#![allow(unsafe_code, reason = "forks")]

use std::io;
use std::process::exit;

/// A forked process, which makes an attempt and exits with its error.
pub(crate) struct Forked(pub(crate) i32);

impl Forked {
    /// Forks a process that makes `attempt`. It leads no process group.
    pub(crate) fn new<T>(attempt: impl Fn() -> io::Result<T>) -> Self {
        // SAFETY: the child makes system calls and exits.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let error = attempt().err();
            exit(error.and_then(|error| error.raw_os_error()).unwrap_or(0));
        }
        Self(child)
    }

    /// Waits until the process has ended, or has stopped if it is traced. Returns the result of its attempt once it has ended.
    pub(crate) fn wait(&self) -> io::Result<Option<io::Result<()>>> {
        let mut status = 0;
        // SAFETY: `status` is writable.
        let waited = unsafe { libc::waitpid(self.0, &raw mut status, 0) };
        if waited < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(
            libc::WIFEXITED(status).then(|| match libc::WEXITSTATUS(status) {
                0 => Ok(()),
                errno => Err(io::Error::from_raw_os_error(errno)),
            }),
        )
    }
}

/// Makes the attempt in a process of its own, and returns its result.
pub(crate) fn in_a_fork<T>(attempt: impl Fn() -> io::Result<T>) -> io::Result<()> {
    let killed = || io::Error::other("a signal ended it");
    Forked::new(attempt).wait()?.ok_or_else(killed)?
}

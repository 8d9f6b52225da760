//! Waits that end in time, also in a host that handles many signals.
//!
//! The problem: a signal interrupts a wait. A wait that then begins anew, with all of its time, does
//! not end while signals keep coming; nor does one with the rest of its time
//! (`std::thread::sleep`), because the kernel adds the timer slack, 50 µs, to each rest.
//!
//! The way chosen: the clock decides after each interruption. Rejected: to block all signals
//! meanwhile, which takes them from the host's own code.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, Timespec, poll};
use rustix::io::{self, Errno};
use rustix::net::sockopt::{Timeout, socket_timeout};

/// The time by which a wait ends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline(Instant);

impl Deadline {
    /// Returns the deadline that is `time` from now.
    pub(crate) fn after(time: Duration) -> Self {
        Self(Instant::now() + time)
    }

    pub(crate) fn has_passed(self) -> bool {
        Instant::now() >= self.0
    }

    /// Waits until one of `fds` is ready, and returns whether one is. Looks at them once also where
    /// the deadline has passed.
    pub(crate) fn poll(self, fds: &mut [PollFd<'_>]) -> io::Result<bool> {
        loop {
            let rest = self.0.saturating_duration_since(Instant::now());
            let rest = Timespec::try_from(rest).unwrap_or_default();
            match poll(fds, Some(&rest)) {
                Err(Errno::INTR) if !self.has_passed() => {}
                Err(Errno::INTR) => return Ok(false),
                ready => return ready.map(|count| count > 0),
            }
        }
    }

    /// Waits for the deadline.
    pub(crate) fn sleep(self) {
        while !self.has_passed() && self.poll(&mut []).is_ok() {}
    }
}

/// Repeats a call on `socket` that signals interrupt, until the socket's `timeout` for such calls has
/// passed.
///
/// # Errors
///
/// As `call`. `EAGAIN` where the time has passed, as the kernel reports it.
pub(crate) fn retry_in_time<T>(
    socket: impl AsFd,
    timeout: Timeout,
    mut call: impl FnMut() -> io::Result<T>,
) -> io::Result<T> {
    let start = Instant::now();
    loop {
        match call() {
            Err(Errno::INTR) => {
                let allowed = socket_timeout(&socket, timeout)?;
                if allowed.is_some_and(|allowed| start.elapsed() >= allowed) {
                    return Err(Errno::AGAIN);
                }
            }
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use rustix::event::PollFlags;

    use super::*;

    const SHORT: Duration = Duration::from_millis(5);

    #[test]
    fn a_call_that_is_always_interrupted_ends_with_the_timeout_of_its_socket() {
        let (socket, _other) = UnixStream::pair().expect("a socket");
        socket.set_read_timeout(Some(SHORT)).expect("a timeout");
        let interrupted = retry_in_time(&socket, Timeout::Recv, || Err::<(), _>(Errno::INTR));
        assert_eq!(interrupted, Err(Errno::AGAIN));
    }

    #[test]
    fn a_call_that_was_interrupted_returns_its_result_in_the_end() {
        // One without a timeout is repeated for ever.
        let (socket, _other) = UnixStream::pair().expect("a socket");
        let mut left = 1000;
        let result = retry_in_time(&socket, Timeout::Recv, || {
            left -= 1;
            if left > 0 { Err(Errno::INTR) } else { Ok(7) }
        });
        assert_eq!(result, Ok(7));
    }

    #[test]
    fn a_wait_ends_with_its_deadline_or_once_something_is_ready() {
        let (socket, other) = UnixStream::pair().expect("a socket");
        let mut fds = [PollFd::new(&socket, PollFlags::IN)];
        let deadline = Deadline::after(SHORT);
        assert_eq!(deadline.poll(&mut fds), Ok(false));
        assert!(deadline.has_passed());
        drop(other);
        assert_eq!(deadline.poll(&mut fds), Ok(true), "it is looked at once");
        Deadline::after(SHORT).sleep();
    }
}

//! Signals, and errors that are none.

use std::io;

use rustix::io::Errno;
use rustix::process::Signal as RawSignal;

use crate::status::Signal;

/// Returns the result of a signal; it is no failure that the process is gone.
pub(crate) fn unless_gone(result: rustix::io::Result<()>) -> io::Result<()> {
    match result {
        Ok(()) | Err(Errno::SRCH) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

/// Returns the system's signal.
pub(crate) fn raw(signal: Signal) -> RawSignal {
    match signal {
        Signal::Hangup => RawSignal::HUP,
        Signal::Interrupt => RawSignal::INT,
        Signal::Quit => RawSignal::QUIT,
        Signal::Terminate => RawSignal::TERM,
        Signal::Kill => RawSignal::KILL,
        Signal::User1 => RawSignal::USR1,
        Signal::User2 => RawSignal::USR2,
        Signal::Stop => RawSignal::STOP,
        Signal::Continue => RawSignal::CONT,
        Signal::WindowChange => RawSignal::WINCH,
        Signal::Alarm => RawSignal::ALARM,
        Signal::BrokenPipe => RawSignal::PIPE,
    }
}

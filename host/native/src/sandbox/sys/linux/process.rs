//! A started process, held by its pidfd and its process group.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::process::{
    Pid, Signal as RawSignal, WaitId, WaitIdOptions, kill_process_group, pidfd_send_signal, waitid,
};

use crate::launch::{Exit, Process};
use crate::status::Signal;

/// A child that leads its own process group.
#[derive(Debug)]
pub(super) struct GroupLeader {
    pid: Pid,
    pidfd: OwnedFd,
}

impl GroupLeader {
    pub(super) fn new(pid: Pid, pidfd: OwnedFd) -> Self {
        Self { pid, pidfd }
    }
}

impl Process for GroupLeader {
    fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    fn exit_fd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    fn try_exit(&self) -> io::Result<Option<Exit>> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        let Some(status) = waitid(WaitId::PidFd(self.pidfd.as_fd()), options)? else {
            return Ok(None);
        };
        if let Some(code) = status.exit_status() {
            return Ok(Some(Exit::Code(code)));
        }
        let signal = status.terminating_signal().and_then(|signal| u8::try_from(signal).ok());
        signal
            .map(|signal| Some(Exit::Signal(signal)))
            .ok_or_else(|| io::Error::other("waitid answered neither an exit nor a signal"))
    }

    fn signal(&self, signal: Signal) -> io::Result<()> {
        none_left_is_success(pidfd_send_signal(&self.pidfd, raw(signal)))
    }

    fn signal_tree(&self, signal: Signal) -> io::Result<()> {
        none_left_is_success(kill_process_group(self.pid, raw(signal)))
    }

    fn reap(&self) -> io::Result<()> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
        waitid(WaitId::PidFd(self.pidfd.as_fd()), options)?;
        Ok(())
    }
}

fn none_left_is_success(result: Result<(), Errno>) -> io::Result<()> {
    match result {
        Ok(()) | Err(Errno::SRCH) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn raw(signal: Signal) -> RawSignal {
    match signal {
        Signal::Hangup => RawSignal::HUP,
        Signal::Interrupt => RawSignal::INT,
        Signal::Quit => RawSignal::QUIT,
        Signal::Terminate => RawSignal::TERM,
        Signal::Kill => RawSignal::KILL,
        Signal::User1 => RawSignal::USR1,
        Signal::User2 => RawSignal::USR2,
    }
}

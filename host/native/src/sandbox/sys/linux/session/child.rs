//! A child in a session.
//!
//! Its leader is the helper's child, not the host's: how it ended comes as a
//! message, which stays in the socket, so that it can be read again and the
//! socket stays readable. A socket that ends without the message means that the
//! session has ended, and the child with it.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::net::RecvFlags;
use rustix::process::Pid;

use super::request::Request;
use super::start::{Session, receive};
use super::wire::Report;
use crate::launch::{Exit, Process};
use crate::status::Signal;

/// A started child. Dropped, its tree is killed.
#[derive(Debug)]
pub(in super::super) struct SessionChild {
    session: Arc<Session>,
    id: u32,
    pid: Pid,
    status: OwnedFd,
    /// Nothing is left of it, or soon will be: the helper has forgotten it.
    released: AtomicBool,
}

impl SessionChild {
    pub(super) fn new(session: Arc<Session>, id: u32, pid: Pid, status: OwnedFd) -> Self {
        Self {
            session,
            id,
            pid,
            status,
            released: AtomicBool::new(false),
        }
    }

    fn ask(&self, request: &Request) -> io::Result<()> {
        if self.released.load(Ordering::Relaxed) {
            return Ok(());
        }
        self.session.tell(request)
    }

    fn release(&self) -> io::Result<()> {
        let asked = self.ask(&Request::release(self.id));
        self.released.store(true, Ordering::Relaxed);
        asked
    }
}

impl Process for SessionChild {
    fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    fn exit_fd(&self) -> BorrowedFd<'_> {
        self.status.as_fd()
    }

    fn try_exit(&self) -> io::Result<Option<Exit>> {
        let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        let report = match receive(&self.status, flags) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            message => message?.report,
        };
        if let Some(Report::Ended { last: true, .. }) = report {
            self.released.store(true, Ordering::Relaxed);
        }
        match report {
            Some(Report::Ended {
                signaled: false,
                value,
                ..
            }) => Ok(Some(Exit::Code(value))),
            Some(Report::Ended { value, .. }) => {
                let signal = u8::try_from(value).map_err(io::Error::other)?;
                Ok(Some(Exit::Signal(signal)))
            }
            _ => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    fn signal(&self, signal: Signal) -> io::Result<()> {
        self.ask(&Request::signal(self.id, signal.number(), false))
    }

    fn signal_tree(&self, signal: Signal) -> io::Result<()> {
        self.ask(&Request::signal(self.id, signal.number(), true))
    }

    fn reap(&self) -> io::Result<()> {
        if self.released.load(Ordering::Relaxed) {
            return Ok(());
        }
        match self.try_exit() {
            Ok(None) => Ok(()),
            // A lost child has nothing left to release, but its number.
            Ok(Some(_)) | Err(_) => self.release(),
        }
    }
}

impl Drop for SessionChild {
    fn drop(&mut self) {
        let _ = self.release();
    }
}

//! The listener of a filter, by which the kernel reports calls and takes the answers.

#![allow(unsafe_code, reason = "rustix does not have these requests")]

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;

/// `SECCOMP_IOCTL_NOTIF_RECV`, `_SEND`, `_ID_VALID` and `_SET_FLAGS`.
const RECEIVE: libc::Ioctl = 0xc050_2100;
const SEND: libc::Ioctl = 0xc018_2101;
const IS_VALID: libc::Ioctl = 0x4008_2102;
const SET_FLAGS: libc::Ioctl = 0x4008_2104;
/// `SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP`: caller and observer take turns on one processor.
const SYNC_WAKE_UP: u64 = 1;
/// `SECCOMP_USER_NOTIF_FLAG_CONTINUE`.
const CONTINUE: u32 = 1;

/// The listener.
pub(super) struct Listener(OwnedFd);

/// A call that waits for an answer.
pub(super) struct Call {
    id: u64,
    /// The caller's task, in the host's numbers.
    pub(super) task: u32,
    /// The architecture by which it was made.
    pub(super) arch: u32,
    /// Its number.
    pub(super) number: u32,
    /// Its arguments, which the kernel has copied.
    pub(super) args: [u64; 6],
}

/// The answer to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reply {
    /// The kernel executes the call, under all that confines the caller.
    Continue,
    /// The call fails with this error number; with 0 the caller sees a success.
    Errno(u16),
}

impl Listener {
    /// Takes the descriptor of a listener.
    pub(super) fn new(fd: OwnedFd) -> Self {
        // Linux before 6.6 wakes both as any other task.
        // SAFETY: the request takes its flags as the number itself, and no pointer.
        let _ = unsafe { libc::ioctl(fd.as_raw_fd(), SET_FLAGS, SYNC_WAKE_UP) };
        Self(fd)
    }

    /// Waits for a call; none if the caller is gone already.
    pub(super) fn receive(&self) -> io::Result<Option<Call>> {
        let mut room = libc::seccomp_notif {
            id: 0,
            pid: 0,
            flags: 0,
            data: libc::seccomp_data {
                nr: 0,
                arch: 0,
                instruction_pointer: 0,
                args: [0; 6],
            },
        };
        // SAFETY: the kernel stores a `struct seccomp_notif`, whose size is part of the request's number.
        let done = unsafe { libc::ioctl(self.0.as_raw_fd(), RECEIVE, &raw mut room) };
        if done < 0 {
            let error = io::Error::last_os_error();
            return match error.raw_os_error() {
                Some(libc::ENOENT | libc::EINTR) => Ok(None),
                _ => Err(error),
            };
        }
        Ok(Some(Call {
            id: room.id,
            task: room.pid,
            arch: room.data.arch,
            number: room.data.nr.cast_unsigned(),
            args: room.data.args,
        }))
    }

    /// Whether the caller still waits: its number is not another task's by now.
    pub(super) fn is_waiting(&self, call: &Call) -> bool {
        // SAFETY: the kernel reads one number of 8 bytes.
        unsafe { libc::ioctl(self.0.as_raw_fd(), IS_VALID, &raw const call.id) == 0 }
    }

    /// Answers. A caller that is gone needs no answer.
    pub(super) fn answer(&self, call: &Call, reply: Reply) {
        let (error, flags) = match reply {
            Reply::Continue => (0, CONTINUE),
            Reply::Errno(errno) => (-i32::from(errno), 0),
        };
        let answer = libc::seccomp_notif_resp {
            id: call.id,
            val: 0,
            error,
            flags,
        };
        // SAFETY: the kernel reads a `struct seccomp_notif_resp`, whose size is part of the request's number.
        let _ = unsafe { libc::ioctl(self.0.as_raw_fd(), SEND, &raw const answer) };
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Receives the listener that a child passes on `socket`; none if the child did not start.
pub(super) fn receive_listener(socket: &OwnedFd) -> io::Result<Option<OwnedFd>> {
    use std::io::IoSliceMut;
    use std::mem::MaybeUninit;

    use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

    let mut byte = [0];
    let mut room = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut room);
    loop {
        let mut parts = [IoSliceMut::new(&mut byte)];
        match recvmsg(socket, &mut parts, &mut ancillary, RecvFlags::CMSG_CLOEXEC) {
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
            Ok(_) => break,
        }
    }
    let mut passed = ancillary.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    });
    Ok(passed.next())
}

//! The kernel memory behind the descriptors of a child: socket and pipe buffers.
//!
//! It is in no process's resident pages. The kernel shows it to whoever holds the descriptor, so
//! each is duplicated for a moment. Rejected: the `sock_diag` netlink family, which lists the
//! sockets of a whole network namespace and does not name their processes.

#![allow(
    unsafe_code,
    reason = "rustix lacks SO_MEMINFO and SO_LINGER is only set here"
)]

use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{MemfdFlags, fstat, memfd_create};
use rustix::io::ioctl_fionread;
use rustix::net::{AddressFamily, SocketType, sockopt};
use rustix::pipe::fcntl_getpipe_size;
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};

/// `PIDFD_THREAD`, since Linux 6.9: the descriptor of a thread that need not be the first one.
const PIDFD_THREAD: PidfdFlags = PidfdFlags::from_bits_retain(libc::O_EXCL as u32);
/// `SO_MEMINFO`, since Linux 4.12.
const SO_MEMINFO: libc::c_int = 55;
/// What the kernel allocates for a packet of one byte, in bytes.
const SMALLEST_PACKET_BYTES: u64 = 768;

/// Returns the device of the file system that has the kernel's shared anonymous memory and
/// memfds, as `st_dev`.
pub(crate) fn shared_memory_device() -> Option<u64> {
    let file = memfd_create("capspawn-device", MemfdFlags::CLOEXEC).ok()?;
    fstat(&file).ok().map(|file| file.st_dev)
}

/// The open descriptors of one thread.
#[derive(Debug)]
pub(crate) struct DescriptorTable {
    thread: OwnedFd,
}

impl DescriptorTable {
    /// Of the thread `tid` of the process `pid`; none where the kernel does not open it.
    pub(crate) fn of(pid: u32, tid: u32) -> Option<Self> {
        let flags = if tid == pid {
            PidfdFlags::empty()
        } else {
            PIDFD_THREAD
        };
        let tid = Pid::from_raw(i32::try_from(tid).ok()?)?;
        let thread = pidfd_open(tid, flags).ok()?;
        Some(Self { thread })
    }

    /// Returns the bytes that the kernel holds in the buffers of a socket, `most` where a part of
    /// them is charged to an end that no process has open; none where they cannot be read.
    pub(crate) fn socket_bytes(&self, number: i32, most: u64) -> Option<u64> {
        let socket = Duplicate::of(self, number)?;
        let own = memory_of(socket.fd())?;
        Some(own.saturating_add(socket.left_by_closed_end(most)))
    }

    /// Returns the bytes of a pipe's buffers: none for an empty pipe, else all that it may hold,
    /// because a page may hold one byte.
    pub(crate) fn pipe_bytes(&self, number: i32) -> Option<u64> {
        let pipe = Duplicate::of(self, number)?;
        match ioctl_fionread(pipe.fd()).ok()? {
            0 => Some(0),
            _ => fcntl_getpipe_size(pipe.fd()).ok().map(|size| size as u64),
        }
    }
}

/// A descriptor that belongs to a child, and to this process for a moment.
struct Duplicate(OwnedFd);

impl Duplicate {
    fn of(table: &DescriptorTable, number: i32) -> Option<Self> {
        let fd = pidfd_getfd(&table.thread, number, PidfdGetfdFlags::empty()).ok()?;
        Some(Self(fd))
    }

    fn fd(&self) -> BorrowedFd<'_> {
        std::os::fd::AsFd::as_fd(&self.0)
    }

    /// Data in the queue of a UNIX socket is charged to its sender. Once the sender is closed,
    /// nobody can read the charge.
    fn left_by_closed_end(&self, most: u64) -> u64 {
        if sockopt::socket_domain(self.fd()) != Ok(AddressFamily::UNIX) {
            return 0;
        }
        let mut polled = [PollFd::new(&self.0, PollFlags::RDHUP)];
        let at_once = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let ready = poll(&mut polled, Some(&at_once));
        let closed = polled[0]
            .revents()
            .intersects(PollFlags::HUP | PollFlags::RDHUP);
        if ready.is_ok() && !closed {
            return 0;
        }
        match (sockopt::socket_type(self.fd()), ioctl_fionread(self.fd())) {
            (Ok(SocketType::STREAM), Ok(bytes)) => {
                bytes.saturating_mul(SMALLEST_PACKET_BYTES).min(most)
            }
            // A packet may be empty.
            _ => most,
        }
    }
}

impl Drop for Duplicate {
    fn drop(&mut self) {
        // If the child has closed its descriptor meanwhile, this process closes the last one, and
        // would wait for as long as the child has chosen.
        if matches!(sockopt::socket_linger(&self.0), Ok(Some(_))) {
            let _ = sockopt::set_socket_linger(&self.0, None);
        }
    }
}

/// Returns the bytes that are charged to a socket.
fn memory_of(socket: BorrowedFd<'_>) -> Option<u64> {
    let mut info = [0_u32; 9];
    let mut length = libc::socklen_t::try_from(size_of_val(&info)).ok()?;
    // SAFETY: the kernel writes at most `length` bytes into `info`, which has that many.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            SO_MEMINFO,
            info.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    let [received, _, sent, _, _, queued, options, backlog, _] = info.map(u64::from);
    // Of TCP `queued` contains what was sent.
    (result == 0).then(|| received + sent.max(queued) + options + backlog)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    use super::*;

    const MOST: u64 = 1 << 20;

    fn own() -> DescriptorTable {
        let pid = std::process::id();
        DescriptorTable::of(pid, pid).expect("its own descriptors")
    }

    fn bytes(socket: &UnixStream) -> u64 {
        let table = own();
        table
            .socket_bytes(socket.as_raw_fd(), MOST)
            .expect("a socket of this process")
    }

    #[test]
    fn what_a_socket_holds_counts_even_when_its_sender_is_closed() {
        let (mut sender, receiver) = UnixStream::pair().expect("a pair");
        assert_eq!(bytes(&sender) + bytes(&receiver), 0);
        sender.write_all(&[0; 10_000]).expect("it fits");
        assert!(bytes(&sender) >= 10_000);
        assert_eq!(bytes(&receiver), 0, "charged once");
        drop(sender);
        assert!(bytes(&receiver) >= 10_000);
        let (idle, other) = UnixStream::pair().expect("a pair");
        drop(other);
        assert_eq!(bytes(&idle), 0);
    }

    #[test]
    fn a_pipe_counts_from_its_first_byte() {
        let (reader, mut writer) = std::io::pipe().expect("a pipe");
        assert_eq!(own().pipe_bytes(reader.as_raw_fd()), Some(0));
        writer.write_all(b"x").expect("it fits");
        let size = own().pipe_bytes(reader.as_raw_fd()).expect("its own");
        assert!(size >= rustix::param::page_size() as u64);
    }

    #[test]
    fn what_is_not_there_is_unreadable() {
        assert_eq!(own().socket_bytes(i32::MAX, MOST), None);
        assert_eq!(own().pipe_bytes(i32::MAX), None);
        let (reader, _writer) = std::io::pipe().expect("a pipe");
        assert_eq!(own().socket_bytes(reader.as_raw_fd(), MOST), None);
    }
}

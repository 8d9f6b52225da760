//! Holds a user namespace, whose map of ids the host writes and then gives to mounts.
//!
//! A mount takes its map from a user namespace, and a namespace exists only as long as a
//! process or a descriptor refers to it. This process makes one, reports that it exists, and
//! ends once the host has opened it. Rejected: the host itself. A process with threads cannot
//! make a user namespace for itself, and a host that had done so would have lost its rights.

use capspawn_raw::syscall::{call, descriptor, exit, number};

const NEWUSER: usize = 0x1000_0000;
const MSG_NOSIGNAL: usize = 0x4000;
const EINTR: i32 = 4;

/// Makes the namespace, sends 0 or the error number as one byte, and waits until the socket
/// ends.
pub(crate) fn run(socket: i32) -> ! {
    // SAFETY: the call takes no pointer; the process is single-threaded.
    let made = unsafe { call(number::UNSHARE, [NEWUSER, 0, 0, 0, 0, 0]) };
    // Error numbers end at 133.
    let mut byte = made.map_or_else(|errno| errno as u8, |_| 0);
    let address = (&raw mut byte).expose_provenance();
    let args = [descriptor(socket), address, 1, MSG_NOSIGNAL, 0, 0];
    // SAFETY: the kernel reads `byte`.
    let _ = unsafe { call(number::SENDTO, args) };
    let args = [descriptor(socket), address, 1, 0, 0, 0];
    loop {
        // SAFETY: the kernel stores at most one byte, in `byte`.
        if unsafe { call(number::READ, args) } != Err(EINTR) {
            exit(0)
        }
    }
}

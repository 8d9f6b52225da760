//! The session's network namespace.
//!
//! It takes the kernel longer than all other namespaces together, and as long as the
//! root. So the server makes it while pid 1 makes the root, which then enters it: one
//! that stayed in the host's would show the host's connections in `/proc/1/net`.

use core::ffi::CStr;

use super::descriptor::Descriptor;
use capspawn_raw::syscall::{call, number};
use capspawn_raw::wire::{Configuration, flag};

const NEWNET: usize = 0x4000_0000;

/// The server's directory of namespaces, for pid 1: not passed on a socket, because of
/// the descriptors that are on their way other sessions' children may use up what there
/// may be of a user. Opened before the root is made: the `/proc` in there does not have
/// the server.
pub(super) fn own_namespaces() -> Result<Descriptor, i32> {
    const AT_FDCWD: usize = -100isize as usize;
    const O_PATH_CLOEXEC: usize = 0o12_000_000;
    open(AT_FDCWD, c"/proc/self/ns", O_PATH_CLOEXEC)
}

/// Makes the namespace where there is to be one.
pub(super) fn make(configuration: &Configuration<'_>) -> Result<(), i32> {
    if configuration.flags & flag::OWN_NETWORK == 0 {
        return Ok(());
    }
    // SAFETY: takes no pointer; the process is single-threaded.
    unsafe { call(number::UNSHARE, [NEWNET, 0, 0, 0, 0, 0])? };
    if configuration.flags & flag::LOOPBACK == 0 {
        return Ok(());
    }
    bring_up_loopback()
}

/// Enters the namespace, where there is to be one, of the process whose directory this is.
pub(super) fn enter(configuration: &Configuration<'_>, namespaces: &Descriptor) -> Result<(), i32> {
    const O_CLOEXEC: usize = 0o2_000_000;
    if configuration.flags & flag::OWN_NETWORK == 0 {
        return Ok(());
    }
    let namespace = open(namespaces.arg(), c"net", O_CLOEXEC)?;
    // SAFETY: takes no pointer; the process is single-threaded.
    unsafe { call(number::SETNS, [namespace.arg(), NEWNET, 0, 0, 0, 0]) }.map(drop)
}

fn open(dir: usize, path: &CStr, flags: usize) -> Result<Descriptor, i32> {
    let args = [dir, path.as_ptr().addr(), flags, 0, 0, 0];
    // SAFETY: a C string, read only.
    Descriptor::new(unsafe { call(number::OPENAT, args) })
}

fn bring_up_loopback() -> Result<(), i32> {
    const AF_INET: usize = 2;
    const SOCK_DGRAM_CLOEXEC: usize = 0o2_000_002;
    const SIOCSIFFLAGS: usize = 0x8914;
    const IFF_UP: u8 = 1;
    // SAFETY: takes no pointer.
    let socket = unsafe { call(number::SOCKET, [AF_INET, SOCK_DGRAM_CLOEXEC, 0, 0, 0, 0]) };
    let socket = Descriptor::new(socket)?;
    // A `struct ifreq`: the name in 16 bytes, then the flags.
    let mut request = [0u8; 40];
    let fields = [(0, b'l'), (1, b'o'), (16, IFF_UP)];
    for (place, value) in fields {
        if let Some(byte) = request.get_mut(place) {
            *byte = value;
        }
    }
    let args = [
        socket.arg(),
        SIOCSIFFLAGS,
        (&raw mut request).addr(),
        0,
        0,
        0,
    ];
    // The kernel gives the interface its addresses by itself.
    // SAFETY: `request` is a `struct ifreq`.
    unsafe { call(number::IOCTL, args) }.map(drop)
}

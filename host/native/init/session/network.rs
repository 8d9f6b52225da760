//! The session's network namespace.
//!
//! Making it takes longer than making all others together, about as long as making the
//! root. So the server makes it while pid 1 makes the root, and pid 1 enters it afterwards.
//! If pid 1 stayed in the host's network namespace, `/proc/1/net` would show the host's
//! connections.

use core::ffi::CStr;

use super::descriptor::Descriptor;
use capspawn_raw::syscall::{call, number};
use capspawn_raw::wire::{Configuration, NetworkNamespace};

const NEWNET: usize = 0x4000_0000;

/// Opens the server's directory of namespaces, which pid 1 inherits. It is opened before the
/// root is made: the `/proc` in there does not show the server. Rejected: passing the
/// namespace on a socket. The kernel bounds a user's descriptors in flight, and other
/// sessions' children may have used them up.
pub(super) fn own_namespaces() -> Result<Descriptor, i32> {
    const AT_FDCWD: usize = -100isize as usize;
    const O_PATH_CLOEXEC: usize = 0o12_000_000;
    open(AT_FDCWD, c"/proc/self/ns", O_PATH_CLOEXEC)
}

/// Makes the namespace, if the session has its own.
pub(super) fn make(configuration: &Configuration<'_>) -> Result<(), i32> {
    if !configuration.network.is_own() {
        return Ok(());
    }
    // SAFETY: the call takes no pointer. The process is single-threaded.
    unsafe { call(number::UNSHARE, [NEWNET, 0, 0, 0, 0, 0])? };
    match configuration.network {
        NetworkNamespace::OwnWithLoopback => bring_up_loopback(),
        NetworkNamespace::Own | NetworkNamespace::Host => Ok(()),
    }
}

/// Enters the network namespace in this directory of namespaces, if the session has its own.
pub(super) fn enter(configuration: &Configuration<'_>, namespaces: &Descriptor) -> Result<(), i32> {
    const O_CLOEXEC: usize = 0o2_000_000;
    if !configuration.network.is_own() {
        return Ok(());
    }
    let namespace = open(namespaces.arg(), c"net", O_CLOEXEC)?;
    // SAFETY: the call takes no pointer. The process is single-threaded.
    unsafe { call(number::SETNS, [namespace.arg(), NEWNET, 0, 0, 0, 0]) }.map(drop)
}

fn open(dir: usize, path: &CStr, flags: usize) -> Result<Descriptor, i32> {
    let args = [dir, path.as_ptr().expose_provenance(), flags, 0, 0, 0];
    // SAFETY: the kernel reads a C string.
    Descriptor::new(unsafe { call(number::OPENAT, args) })
}

fn bring_up_loopback() -> Result<(), i32> {
    const AF_INET: usize = 2;
    const SOCK_DGRAM_CLOEXEC: usize = 0o2_000_002;
    const SIOCSIFFLAGS: usize = 0x8914;
    const IFF_UP: u8 = 1;
    // SAFETY: the call takes no pointer.
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
        (&raw mut request).expose_provenance(),
        0,
        0,
        0,
    ];
    // The kernel gives the interface its addresses.
    // SAFETY: the kernel reads and stores a `struct ifreq`, whose 40 bytes `request` has.
    unsafe { call(number::IOCTL, args) }.map(drop)
}

//! Namespaces of its own (for the network see `network`), and pid 1 in them.

use core::ffi::CStr;

use super::descriptor::Descriptor;
use super::schedule;
use capspawn_raw::syscall::{call, number};
use capspawn_raw::wire::Configuration;

const NEWNS: usize = 0x0002_0000;
const NEWUTS: usize = 0x0400_0000;
const NEWIPC: usize = 0x0800_0000;
const NEWUSER: usize = 0x1000_0000;
const NEWPID: usize = 0x2000_0000;

const PR_SET_DUMPABLE: usize = 4;

/// Makes the namespaces and maps the user and the group onto themselves.
pub(super) fn enter(configuration: &Configuration<'_>) -> Result<(), i32> {
    // A change of user has cleared it, and the files of an undumpable process in /proc belong to root.
    set_dumpable(1)?;
    let flags = NEWUSER | NEWNS | NEWPID | NEWIPC | NEWUTS;
    // SAFETY: takes no pointer; the process is single-threaded.
    unsafe { call(number::UNSHARE, [flags, 0, 0, 0, 0, 0])? };
    // A group can be mapped without privileges only by who gives up setgroups.
    write(c"/proc/self/setgroups", b"deny")?;
    map(c"/proc/self/uid_map", configuration.uid)?;
    map(c"/proc/self/gid_map", configuration.gid)
}

/// Sets or clears whether others may look into this process.
pub(super) fn set_dumpable(value: usize) -> Result<(), i32> {
    // SAFETY: takes no pointer; the memory is the helper's own.
    unsafe { call(number::PRCTL, [PR_SET_DUMPABLE, value, 0, 0, 0, 0]) }.map(drop)
}

fn map(path: &CStr, id: u32) -> Result<(), i32> {
    let mut digits = [0u8; 10];
    let mut rest = id;
    let mut count = 0;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
        count += 1;
        if rest == 0 {
            break;
        }
    }
    let number = digits.get(digits.len() - count..).unwrap_or(&[]);
    // "ID ID 1"
    let mut line = [b' '; 24];
    let mut length = 0;
    let parts: [&[u8]; 5] = [number, b" ", number, b" ", b"1"];
    for byte in parts.into_iter().flatten() {
        if let Some(place) = line.get_mut(length) {
            *place = *byte;
            length += 1;
        }
    }
    write(path, line.get(..length).unwrap_or(&[]))
}

fn write(path: &CStr, bytes: &[u8]) -> Result<(), i32> {
    const AT_FDCWD: usize = -100isize as usize;
    const O_WRONLY_CLOEXEC: usize = 0o2_000_001;
    let args = [AT_FDCWD, path.as_ptr().addr(), O_WRONLY_CLOEXEC, 0, 0, 0];
    // SAFETY: a C string, read only.
    let file = Descriptor::new(unsafe { call(number::OPENAT, args) })?;
    let args = [file.arg(), bytes.as_ptr().addr(), bytes.len(), 0, 0, 0];
    // SAFETY: as many bytes as are said, read only.
    unsafe { call(number::WRITE, args) }.map(drop)
}

/// Forks pid 1, a child of the host, and says whether this is it. The caller's own
/// namespace stays the host's.
pub(super) fn fork() -> Result<bool, i32> {
    const CLONE_PARENT: usize = 0x8000;
    let args = [CLONE_PARENT, 0, 0, 0, 0, 0];
    // SAFETY: without CLONE_VM the child goes on with a copy of the memory, on the same stack address.
    let pid = unsafe { call(number::CLONE, args)? };
    if pid != 0 {
        schedule::part(pid);
    }
    Ok(pid == 0)
}

/// Names the machine.
pub(super) fn name() -> Result<(), i32> {
    let name = b"capspawn";
    let args = [name.as_ptr().addr(), name.len(), 0, 0, 0, 0];
    // SAFETY: as many bytes as are said, read only.
    unsafe { call(number::SETHOSTNAME, args) }.map(drop)
}

//! Makes the session's namespaces, except the network namespace (see `network`), and forks
//! their pid 1.

use core::ffi::CStr;

use super::descriptor::Descriptor;
use super::mount::{self, NODEV, NOEXEC, NOSUID};
use super::schedule;
use capspawn_raw::syscall::{call, number};
use capspawn_raw::wire::{Configuration, HOST_NAME};

const NEWNS: usize = 0x0002_0000;
const NEWUTS: usize = 0x0400_0000;
const NEWIPC: usize = 0x0800_0000;
const NEWUSER: usize = 0x1000_0000;
const NEWPID: usize = 0x2000_0000;

const PR_SET_DUMPABLE: usize = 4;
const AT_FDCWD: usize = -100isize as usize;
const O_CLOEXEC: usize = 0o2_000_000;
const O_DIRECTORY: usize = 0o200_000;

/// Makes the namespaces and maps the user onto the number that its processes see, and the
/// group onto itself. Returns what is known of the IPC namespace.
pub(super) fn enter(configuration: &Configuration<'_>) -> Result<Ipc, i32> {
    // The change of the user has cleared it, and the /proc files of an undumpable process belong to root.
    set_dumpable(1)?;
    let Configuration { uid, gid, .. } = *configuration;
    // Only user 0 of the user namespace to which an IPC namespace belongs may set its limits. So it belongs to one of its
    // own, in which the session's processes, in a namespace below, have no rights. The file system of its message queues
    // can only be mounted from there too, which takes a mount namespace.
    unshare(NEWUSER | NEWIPC | NEWNS)?;
    map((0, uid), gid)?;
    let ipc = Ipc {
        mounts: open(AT_FDCWD, c"/proc/self/ns/mnt", O_CLOEXEC).ok(),
        is_limited: limit_ipc(configuration.shared_memory_bytes).is_ok(),
        // Without it Landlock denies message queues.
        queues: mount::new(c"mqueue", &[], NOSUID | NODEV | NOEXEC).ok(),
    };
    unshare(NEWUSER | NEWNS | NEWUTS)?;
    map((configuration.inner_uid, 0), gid)?;
    limit_kernel_objects();
    if configuration.hides_cgroup {
        hide_cgroups();
    }
    Ok(ipc)
}

/// An IPC namespace.
pub(super) struct Ipc {
    /// Whether System V IPC is limited.
    pub(super) is_limited: bool,
    /// The file system of its POSIX message queues, which is not attached anywhere yet.
    pub(super) queues: Option<Descriptor>,
    /// The mount namespace in which it was mounted. To remove it takes as long as all else here, so that it is kept until the
    /// process has time.
    pub(super) mounts: Option<Descriptor>,
}

fn unshare(flags: usize) -> Result<(), i32> {
    // SAFETY: the call takes no pointer; the process is single-threaded.
    unsafe { call(number::UNSHARE, [flags, 0, 0, 0, 0, 0]) }.map(drop)
}

/// Maps a user, by its numbers inside and outside the new namespace, and a group onto itself.
fn map((inner, outer): (u32, u32), gid: u32) -> Result<(), i32> {
    // A process without privileges may map its group only if it gives up setgroups(2).
    write(c"/proc/self/setgroups", b"deny")?;
    map_id(c"/proc/self/uid_map", inner, outer)?;
    map_id(c"/proc/self/gid_map", gid, gid)
}

/// Limits the System V objects of the IPC namespace, which outlive their processes and which no
/// process shows. Older kernels let only the machine's root set these limits, and in many containers
/// `/proc/sys` is read-only: System V IPC is denied then.
fn limit_ipc(shared_memory_bytes: u64) -> Result<(), i32> {
    const PAGE: u64 = 4096;
    let pages = u32::try_from(shared_memory_bytes / PAGE).unwrap_or(u32::MAX);
    let mut digits = [0u8; 10];
    let limits: [(&CStr, &[u8]); 4] = [
        (c"/proc/sys/kernel/shmall", decimal(pages, &mut digits)),
        // Each pins an inode.
        (c"/proc/sys/kernel/shmmni", b"256"),
        // Those of Linux before 3.19, but for the third: 2 MiB in all.
        (c"/proc/sys/kernel/sem", b"250 32000 100 128"),
        // Queues of 16 KiB, but with empty messages up to 1 MiB each.
        (c"/proc/sys/kernel/msgmni", b"32"),
    ];
    for (path, value) in limits {
        write(path, value)?;
    }
    Ok(())
}

/// Limits what the kernel counts for each user namespace. Without it the children could use up the instances of inotify
/// that the host's user has; nested namespaces the filter denies already. Where `/proc/sys` is read-only, as in many
/// containers, the limits of the host's user are left.
fn limit_kernel_objects() {
    let limits: [(&CStr, &[u8]); 3] = [
        // Half of the kernel's default for a user; a program has one, or one for each worker.
        (c"/proc/sys/user/max_inotify_instances", b"64"),
        // Each pins an inode, about 1 KiB.
        (c"/proc/sys/user/max_inotify_watches", b"16384"),
        (c"/proc/sys/user/max_user_namespaces", b"0"),
    ];
    for (path, value) in limits {
        let _ = write(path, value);
    }
}

/// Makes the session's cgroup the root of what `/proc/self/cgroup` shows. Where the kernel refuses the namespace, the
/// host's path of the cgroup is visible.
fn hide_cgroups() {
    const NEWCGROUP: usize = 0x0200_0000;
    let _ = unshare(NEWCGROUP);
}

/// Sets whether other processes may trace this one and read its memory.
pub(super) fn set_dumpable(value: usize) -> Result<(), i32> {
    // SAFETY: the call takes no pointer. The memory is this process's own.
    unsafe { call(number::PRCTL, [PR_SET_DUMPABLE, value, 0, 0, 0, 0]) }.map(drop)
}

/// Maps the id `inner` in the namespace onto `outer` outside, in a file with a line
/// "INSIDE OUTSIDE COUNT".
fn map_id(path: &CStr, inner: u32, outer: u32) -> Result<(), i32> {
    let (mut inner_digits, mut outer_digits) = ([0u8; 10], [0u8; 10]);
    let mut line = [b' '; 24];
    let mut length = 0;
    let parts: [&[u8]; 5] = [
        decimal(inner, &mut inner_digits),
        b" ",
        decimal(outer, &mut outer_digits),
        b" ",
        b"1",
    ];
    for byte in parts.into_iter().flatten() {
        if let Some(place) = line.get_mut(length) {
            *place = *byte;
            length += 1;
        }
    }
    write(path, line.get(..length).unwrap_or(&[]))
}

/// Writes a number into the end of `digits`, and returns the digits that it has.
fn decimal(number: u32, digits: &mut [u8; 10]) -> &[u8] {
    let mut rest = number;
    let mut count = 0;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
        count += 1;
        if rest == 0 {
            break;
        }
    }
    digits.get(digits.len() - count..).unwrap_or(&[])
}

fn write(path: &CStr, bytes: &[u8]) -> Result<(), i32> {
    const O_WRONLY: usize = 1;
    let file = open(AT_FDCWD, path, O_WRONLY | O_CLOEXEC)?;
    let args = [
        file.arg(),
        bytes.as_ptr().expose_provenance(),
        bytes.len(),
        0,
        0,
        0,
    ];
    // SAFETY: the kernel reads `bytes`, whose length is passed.
    unsafe { call(number::WRITE, args) }.map(drop)
}

/// Forks pid 1, in a pid namespace of its own, as a child of the host. Returns its number, as the host sees it, and a
/// descriptor of that namespace to the caller, which itself stays in the host's, and none to pid 1.
pub(super) fn fork() -> Result<Option<(u32, Descriptor)>, i32> {
    const CLONE_PARENT: usize = 0x8000;
    // Opened first: pid 1 makes another root for both.
    let proc = open(AT_FDCWD, c"/proc", O_DIRECTORY | O_CLOEXEC)?;
    let args = [CLONE_PARENT | NEWPID, 0, 0, 0, 0, 0];
    // SAFETY: without CLONE_VM the child gets a copy of the memory, with the stack at the same address.
    let pid = unsafe { call(number::CLONE, args)? };
    if pid == 0 {
        return Ok(None);
    }
    schedule::move_away(pid);
    let (mut digits, mut path) = ([0u8; 10], [0u8; 24]);
    let parts = [decimal(pid as u32, &mut digits), b"/ns/pid"];
    for (place, byte) in path.iter_mut().zip(parts.into_iter().flatten()) {
        *place = *byte;
    }
    let path = CStr::from_bytes_until_nul(&path).unwrap_or_default();
    let namespace = open(proc.arg(), path, O_CLOEXEC)?;
    Ok(Some((pid as u32, namespace)))
}

fn open(directory: usize, path: &CStr, flags: usize) -> Result<Descriptor, i32> {
    let path = path.as_ptr().expose_provenance();
    // SAFETY: the kernel reads a C string.
    Descriptor::new(unsafe { call(number::OPENAT, [directory, path, flags, 0, 0, 0]) })
}

/// Sets the host name in the session's UTS namespace. In the host's network the host's name stays: the host's
/// `/etc/hosts` and name servers know it, and no other.
pub(super) fn set_host_name(configuration: &Configuration<'_>) -> Result<(), i32> {
    if !configuration.network.is_own() {
        return Ok(());
    }
    let name = HOST_NAME.as_bytes();
    let args = [name.as_ptr().expose_provenance(), name.len(), 0, 0, 0, 0];
    // SAFETY: the kernel reads `name`, whose length is passed.
    unsafe { call(number::SETHOSTNAME, args) }.map(drop)
}

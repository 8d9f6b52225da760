//! Opens a file for a standard stream of a child, as the child's user could.
//!
//! The problem: a guest names the path, and the host has more rights than the child. The kernel
//! must resolve the path below the root of the grant, and apply the rights of the children's user;
//! and no file may block the host, or act, when it is opened.
//!
//! The way chosen: a thread of its own takes the user's identity for file access (`setfsuid`) and
//! gives up its capabilities. It looks the file up without opening it (`O_PATH`, beneath the root),
//! checks that it is a regular file, and opens that same file through its descriptor. Rejected: to
//! compare the file's mode with the user, which leaves out access control lists; and a process of
//! the user, which costs as much as the child.

#![allow(
    unsafe_code,
    reason = "the C library changes the identity of all threads, and of this thread only a system call does"
)]

use std::fs::read_link;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::thread;

use parking_lot::Mutex;
use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, fcntl_getfl, fcntl_setfl, fstat};
use rustix::fs::{fstatfs, open, openat2};
use rustix::io::Errno;
use rustix::process::geteuid;

use crate::launch::{FileAccess, Identity, StreamFile};
use crate::streams::FileMode;

/// The file system of `/proc`, in which a path means something else to the host than to the child:
/// `PROC_SUPER_MAGIC`.
const PROC: u64 = 0x9fa0;

/// The mode of a file that is created, which the host's umask does not widen: readable by all,
/// writable by the children's user.
const NEW_FILE: Mode = Mode::from_raw_mode(0o644);

/// How often a file is looked up that appears or disappears meanwhile: 3 times.
const ATTEMPTS: usize = 3;

/// `_LINUX_CAPABILITY_VERSION_3`.
const CAPABILITY_VERSION: u32 = 0x2008_0522;

/// `SUID_DUMP_USER`: a process that other processes of its user may look at.
const DUMPABLE: libc::c_int = 1;

/// Why a file is not opened.
#[derive(Debug)]
pub(crate) enum FileFault {
    /// The file may not be a standard stream; the reason follows the path in a sentence.
    Refused(String),
    /// There is no such file.
    Missing,
    /// What the host lacks.
    System(io::Error),
}

impl From<Errno> for FileFault {
    fn from(errno: Errno) -> Self {
        let reason = match errno {
            Errno::NOENT | Errno::NOTDIR => return Self::Missing,
            Errno::XDEV => "leads out of the root, or to another file system",
            Errno::LOOP => "has a symbolic link that is not followed",
            Errno::ACCESS | Errno::PERM => "is not accessible to the user that children run as",
            Errno::ROFS => "is on a read-only file system",
            Errno::TXTBSY => "is a program that runs",
            Errno::ISDIR | Errno::NXIO => NOT_REGULAR,
            Errno::NAMETOOLONG => "has a name that is too long",
            _ => return Self::System(errno.into()),
        };
        Self::Refused(reason.to_owned())
    }
}

const NOT_REGULAR: &str = "is not a regular file";

/// Opens `file`, unless there is a `refusal` of the place that its path leads to.
///
/// # Errors
///
/// The file is not regular, its place is refused, or the children's user may not open it so.
pub(crate) fn open_stream_file(
    file: &StreamFile,
    refusal: impl Fn(&Path) -> Option<&'static str> + Sync,
) -> Result<OwnedFd, FileFault> {
    // With the rights of the host: a session shows a root that only the host can reach.
    let root = file
        .root
        .open()
        .map_err(|error| match Errno::from_io_error(&error) {
            Some(errno) => errno.into(),
            None => FileFault::System(error),
        })?;
    thread::scope(|scope| {
        let thread = thread::Builder::new().name("capspawn-open".into());
        let opening = thread.spawn_scoped(scope, || {
            become_user(file.identity)?;
            open_below(&root, file, &refusal)
        });
        let opening = opening.map_err(FileFault::System)?;
        let panicked = || FileFault::System(io::Error::other("the thread panicked"));
        opening.join().unwrap_or_else(|_| Err(panicked()))
    })
}

/// Gives this thread the rights of `identity` to files, and no capability. Other threads keep
/// theirs.
fn become_user(identity: Identity) -> Result<(), FileFault> {
    /// Held while the kernel's idea of who may look at this process is not what it was.
    static DUMP: Mutex<()> = Mutex::new(());
    let result = |value: libc::c_long| match value {
        0.. => Ok(()),
        _ => Err(FileFault::System(io::Error::last_os_error())),
    };
    if geteuid().is_root() && !identity.is_root() {
        let _guard = DUMP.lock();
        // SAFETY: the call takes no pointer.
        let before = unsafe { libc::prctl(libc::PR_GET_DUMPABLE) };
        // SAFETY: a count of zero reads nothing through the null pointer.
        result(unsafe { libc::syscall(libc::SYS_setgroups, 0usize, std::ptr::null::<u32>()) })?;
        // SAFETY: the call takes no pointer.
        unsafe { libc::syscall(libc::SYS_setfsgid, identity.gid) };
        // SAFETY: the call takes no pointer.
        unsafe { libc::syscall(libc::SYS_setfsuid, identity.uid) };
        if before == DUMPABLE {
            // The real and effective ids are unchanged, so that nobody gains a right over this process.
            // SAFETY: the call takes no pointer.
            unsafe { libc::prctl(libc::PR_SET_DUMPABLE, DUMPABLE) };
        }
        // Both calls return the previous id, and fail silently.
        // SAFETY: the call takes no pointer. An id that does not exist changes nothing.
        let user = unsafe { libc::syscall(libc::SYS_setfsuid, u32::MAX) };
        // SAFETY: as above.
        let group = unsafe { libc::syscall(libc::SYS_setfsgid, u32::MAX) };
        if (user, group) != (identity.uid.into(), identity.gid.into()) {
            return Err(FileFault::System(Errno::PERM.into()));
        }
    }
    let header = [CAPABILITY_VERSION, 0];
    let none = [0u32; 6];
    // SAFETY: the header and the six words of version 3 are readable for the whole call.
    result(unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), none.as_ptr()) })
}

fn open_below(
    root: &OwnedFd,
    file: &StreamFile,
    refusal: &dyn Fn(&Path) -> Option<&'static str>,
) -> Result<OwnedFd, FileFault> {
    for _ in 0..ATTEMPTS {
        match look_up(root, &file.below) {
            Ok(found) => return reopen(&found, file.access, refusal),
            Err(Errno::NOENT) if file.access != FileAccess::Read => {
                match create(root, &file.below, refusal) {
                    // Another process has created it meanwhile.
                    Err(CreateFault::Exists) => {}
                    Err(CreateFault::Other(fault)) => return Err(fault),
                    Ok(created) => return finish(created, file.access),
                }
            }
            Err(errno) => return Err(errno.into()),
        }
    }
    Err(Errno::LOOP.into())
}

/// How often a path is looked up. The kernel gives up (EAGAIN) on a path with `..` if any process renames or mounts
/// anything meanwhile.
const TRIES: u32 = 100;

/// Where a path may lead: below the root, on its file system, and through no link of `/proc`.
fn beneath() -> ResolveFlags {
    ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_XDEV
}

/// Looks a path up, without opening what is there.
fn look_up(root: &OwnedFd, below: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    if below == Path::new("") {
        return root.as_fd().try_clone_to_owned().map_err(errno_of);
    }
    let mut tries = TRIES;
    loop {
        tries -= 1;
        match openat2(root, below, flags, Mode::empty(), beneath()) {
            Err(Errno::AGAIN) if tries > 0 => {}
            found => return found,
        }
    }
}

fn errno_of(error: io::Error) -> Errno {
    Errno::from_io_error(&error).unwrap_or(Errno::IO)
}

/// Opens the file that `found` names, if it is a regular one whose place is not refused.
fn reopen(
    found: &OwnedFd,
    access: FileAccess,
    refusal: &dyn Fn(&Path) -> Option<&'static str>,
) -> Result<OwnedFd, FileFault> {
    let metadata = fstat(found)?;
    let is_proc = u64::try_from(fstatfs(found)?.f_type) == Ok(PROC);
    if FileType::from_raw_mode(metadata.st_mode) != FileType::RegularFile || is_proc {
        return Err(FileFault::Refused(NOT_REGULAR.to_owned()));
    }
    // A file without a name has no place that could be allowed.
    if metadata.st_nlink == 0 {
        return Err(FileFault::Missing);
    }
    check(&place_of(found)?, refusal)?;
    let mode = match access {
        FileAccess::Read => OFlags::RDONLY,
        FileAccess::Write(FileMode::Truncate) => OFlags::WRONLY | OFlags::TRUNC,
        FileAccess::Write(FileMode::Append) => OFlags::WRONLY | OFlags::APPEND,
    };
    let flags = mode | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let opened = open(through(found), flags, Mode::empty())?;
    finish(opened, access)
}

/// Why a file was not created.
enum CreateFault {
    Exists,
    Other(FileFault),
}

impl From<FileFault> for CreateFault {
    fn from(fault: FileFault) -> Self {
        Self::Other(fault)
    }
}

/// Creates a file in an existing directory.
fn create(
    root: &OwnedFd,
    below: &Path,
    refusal: &dyn Fn(&Path) -> Option<&'static str>,
) -> Result<OwnedFd, CreateFault> {
    let other = |errno: Errno| CreateFault::Other(errno.into());
    let (Some(parent), Some(name)) = (below.parent(), below.file_name()) else {
        return Err(other(Errno::NOENT));
    };
    let parent = look_up(root, parent).map_err(other)?;
    check(&place_of(&parent)?.join(name), refusal)?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOCTTY | OFlags::CLOEXEC;
    match openat2(&parent, name, flags, NEW_FILE, beneath()) {
        Err(Errno::EXIST) => Err(CreateFault::Exists),
        result => result.map_err(other),
    }
}

fn check(place: &Path, refusal: &dyn Fn(&Path) -> Option<&'static str>) -> Result<(), FileFault> {
    match refusal(place) {
        None => Ok(()),
        Some(reason) => Err(FileFault::Refused(reason.to_owned())),
    }
}

/// Returns the kernel's path of an open file, with symbolic links resolved.
fn place_of(fd: &OwnedFd) -> Result<PathBuf, FileFault> {
    read_link(through(fd)).map_err(FileFault::System)
}

/// Returns the path by which this process opens the file of a descriptor again.
fn through(fd: &OwnedFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", fd.as_raw_fd()))
}

/// Sets the flags that a child expects of a redirected stream.
fn finish(fd: OwnedFd, access: FileAccess) -> Result<OwnedFd, FileFault> {
    let mut flags = fcntl_getfl(&fd)? - OFlags::NONBLOCK;
    if access == FileAccess::Write(FileMode::Append) {
        flags |= OFlags::APPEND;
    }
    fcntl_setfl(&fd, flags)?;
    Ok(fd)
}

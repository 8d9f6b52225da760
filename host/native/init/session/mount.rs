//! The calls of the mount API, on descriptors.
//!
//! Rejected: `mount(2)`. It takes paths, which other processes may change between two calls,
//! and its remount of a bind mount does not reach the mounts below.

use core::ffi::CStr;

use super::descriptor::Descriptor;
use capspawn_raw::child::PassArguments;
use capspawn_raw::syscall::{call, number};

pub(super) const RDONLY: usize = 1;
pub(super) const NOSUID: usize = 2;
pub(super) const NODEV: usize = 4;
pub(super) const NOEXEC: usize = 8;

pub(super) const AT_FDCWD: usize = -100isize as usize;
const AT_EMPTY_PATH: usize = 0x1000;
const AT_RECURSIVE: usize = 0x8000;
const O_CLOEXEC: usize = 0o2_000_000;
const O_PATH: u64 = 0o10_000_000;
const O_DIRECTORY: u64 = 0o200_000;

const NO_MAGICLINKS: u64 = 2;
const NO_SYMLINKS: u64 = 4;
const IN_ROOT: u64 = 0x10;

/// The pass for calls that are made before the filter is installed.
pub(super) const NO_PASS: PassArguments = [0; 2];

const EAGAIN: i32 = 11;
/// How often a path is tried. The kernel gives up (EAGAIN) on a path with `..` if any process renames or mounts
/// anything meanwhile; if one does nothing else, that is one time in three.
const TRIES: u32 = 100;

fn open(
    dir: usize,
    path: &CStr,
    flags: u64,
    resolve: u64,
    pass: PassArguments,
) -> Result<Descriptor, i32> {
    let [first, second] = pass;
    // A `struct open_how`: flags, mode, resolve.
    let how = [flags | O_PATH | O_CLOEXEC as u64, 0, resolve];
    let args = [
        dir,
        path.as_ptr().expose_provenance(),
        (&raw const how).expose_provenance(),
        size_of_val(&how),
        first,
        second,
    ];
    let mut tries = TRIES;
    loop {
        tries -= 1;
        // SAFETY: the kernel reads a C string and a `struct open_how`.
        match unsafe { call(number::OPENAT2, args) } {
            Err(EAGAIN) if tries > 0 => {}
            opened => return Descriptor::new(opened),
        }
    }
}

/// Opens `path` without following symbolic links; any on the path is an error (ELOOP).
pub(super) fn exactly(dir: usize, path: &CStr) -> Result<Descriptor, i32> {
    open(dir, path, 0, NO_SYMLINKS | NO_MAGICLINKS, NO_PASS)
}

/// Opens `path` as if `root` were the root directory, without following symbolic links.
pub(super) fn below(root: &Descriptor, path: &CStr) -> Result<Descriptor, i32> {
    let resolve = NO_SYMLINKS | NO_MAGICLINKS | IN_ROOT;
    open(root.arg(), path, 0, resolve, NO_PASS)
}

/// Opens `path` in the process's own root, following symbolic links within it.
pub(super) fn inside(path: &CStr, directory: bool, pass: PassArguments) -> Result<Descriptor, i32> {
    let flags = if directory { O_DIRECTORY } else { 0 };
    open(AT_FDCWD, path, flags, NO_MAGICLINKS | IN_ROOT, pass)
}

/// Copies the mount at `file`, with all mounts below it.
pub(super) fn copy(file: &Descriptor) -> Result<Descriptor, i32> {
    const OPEN_TREE_CLONE: usize = 1;
    let flags = AT_EMPTY_PATH | AT_RECURSIVE | OPEN_TREE_CLONE | O_CLOEXEC;
    let args = [file.arg(), c"".as_ptr().expose_provenance(), flags, 0, 0, 0];
    // SAFETY: the kernel reads a C string.
    Descriptor::new(unsafe { call(number::OPEN_TREE, args) })
}

/// Adds `attributes` to the mount, and to all below it if `recursive`. Nothing is taken away,
/// so that attributes stay that the host has locked.
pub(super) fn restrict(mount: &Descriptor, attributes: usize, recursive: bool) -> Result<(), i32> {
    let flags = AT_EMPTY_PATH | if recursive { AT_RECURSIVE } else { 0 };
    set_attributes(mount.arg(), c"", flags, [attributes as u64, 0, 0, 0])
}

/// Makes all mounts private: what the host mounts or unmounts from here on does not reach the
/// session.
pub(super) fn detach_propagation() -> Result<(), i32> {
    const MS_PRIVATE: u64 = 1 << 18;
    set_attributes(AT_FDCWD, c"/", AT_RECURSIVE, [0, 0, MS_PRIVATE, 0])
}

fn set_attributes(dir: usize, path: &CStr, flags: usize, attributes: [u64; 4]) -> Result<(), i32> {
    let (attributes, size) = (
        (&raw const attributes).expose_provenance(),
        size_of_val(&attributes),
    );
    let args = [
        dir,
        path.as_ptr().expose_provenance(),
        flags,
        attributes,
        size,
        0,
    ];
    // SAFETY: the kernel reads a C string and a `struct mount_attr`.
    unsafe { call(number::MOUNT_SETATTR, args) }.map(drop)
}

/// Puts a mount onto `place`.
pub(super) fn attach(mount: &Descriptor, place: &Descriptor) -> Result<(), i32> {
    const BOTH_EMPTY: usize = 0x4 | 0x40;
    let empty = c"".as_ptr().expose_provenance();
    let args = [mount.arg(), empty, place.arg(), empty, BOTH_EMPTY, 0];
    // SAFETY: the kernel reads two C strings.
    unsafe { call(number::MOVE_MOUNT, args) }.map(drop)
}

/// Makes a file system of the type `kind`, which is not attached anywhere yet.
pub(super) fn new(
    kind: &CStr,
    options: &[(&CStr, &CStr)],
    attributes: usize,
) -> Result<Descriptor, i32> {
    const CLOEXEC: usize = 1;
    const SET_STRING: usize = 1;
    const CREATE: usize = 6;
    let args = [kind.as_ptr().expose_provenance(), CLOEXEC, 0, 0, 0, 0];
    // SAFETY: the kernel reads a C string.
    let context = Descriptor::new(unsafe { call(number::FSOPEN, args) })?;
    for (key, value) in options {
        let (key, value) = (
            key.as_ptr().expose_provenance(),
            value.as_ptr().expose_provenance(),
        );
        let args = [context.arg(), SET_STRING, key, value, 0, 0];
        // SAFETY: the kernel reads two C strings.
        unsafe { call(number::FSCONFIG, args)? };
    }
    // SAFETY: with this command the call takes no pointer.
    unsafe { call(number::FSCONFIG, [context.arg(), CREATE, 0, 0, 0, 0])? };
    // SAFETY: the call takes no pointer.
    Descriptor::new(unsafe {
        call(
            number::FSMOUNT,
            [context.arg(), CLOEXEC, attributes, 0, 0, 0],
        )
    })
}

/// Makes a directory.
pub(super) fn directory(dir: &Descriptor, name: &CStr, mode: usize) -> Result<(), i32> {
    let args = [dir.arg(), name.as_ptr().expose_provenance(), mode, 0, 0, 0];
    // SAFETY: the kernel reads a C string.
    unsafe { call(number::MKDIRAT, args) }.map(drop)
}

/// Makes an empty file.
pub(super) fn file(dir: &Descriptor, name: &CStr, mode: usize) -> Result<(), i32> {
    const S_IFREG: usize = 0o100_000;
    let args = [
        dir.arg(),
        name.as_ptr().expose_provenance(),
        S_IFREG | mode,
        0,
        0,
        0,
    ];
    // SAFETY: the kernel reads a C string.
    unsafe { call(number::MKNODAT, args) }.map(drop)
}

/// Makes a file that everybody may read, with `contents`.
pub(super) fn file_with(dir: &Descriptor, name: &CStr, contents: &[u8]) -> Result<(), i32> {
    const EIO: i32 = 5;
    const MODE: usize = 0o444;
    // O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW
    const NEW: usize = 0o400_301;
    let name = name.as_ptr().expose_provenance();
    let args = [dir.arg(), name, NEW | O_CLOEXEC, MODE, 0, 0];
    // SAFETY: the kernel reads a C string.
    let file = Descriptor::new(unsafe { call(number::OPENAT, args) })?;
    let bytes = contents.as_ptr().expose_provenance();
    let args = [file.arg(), bytes, contents.len(), 0, 0, 0];
    // SAFETY: the kernel reads `contents`, whose length is passed.
    let written = unsafe { call(number::WRITE, args)? };
    if written == contents.len() {
        Ok(())
    } else {
        Err(EIO)
    }
}

/// Makes a symbolic link.
pub(super) fn link(dir: &Descriptor, name: &CStr, target: &CStr) -> Result<(), i32> {
    let args = [
        target.as_ptr().expose_provenance(),
        dir.arg(),
        name.as_ptr().expose_provenance(),
        0,
        0,
        0,
    ];
    // SAFETY: the kernel reads two C strings.
    unsafe { call(number::SYMLINKAT, args) }.map(drop)
}

/// Removes a file's name.
pub(super) fn unlink(dir: &Descriptor, name: &CStr) -> Result<(), i32> {
    let args = [dir.arg(), name.as_ptr().expose_provenance(), 0, 0, 0, 0];
    // SAFETY: the kernel reads a C string.
    unsafe { call(number::UNLINKAT, args) }.map(drop)
}

/// Makes `root` the root directory and unmounts the old one.
pub(super) fn pivot(root: &Descriptor) -> Result<(), i32> {
    const MNT_DETACH: usize = 2;
    let here = c".".as_ptr().expose_provenance();
    // SAFETY: the call takes no pointer.
    unsafe { call(number::FCHDIR, [root.arg(), 0, 0, 0, 0, 0])? };
    // The old root now lies on top of the new one, so that "." names the old root.
    // SAFETY: the kernel reads two C strings.
    unsafe { call(number::PIVOT_ROOT, [here, here, 0, 0, 0, 0])? };
    // SAFETY: the kernel reads a C string.
    unsafe { call(number::UMOUNT2, [here, MNT_DETACH, 0, 0, 0, 0])? };
    // SAFETY: the kernel reads a C string.
    unsafe {
        call(
            number::CHDIR,
            [c"/".as_ptr().expose_provenance(), 0, 0, 0, 0, 0],
        )
    }
    .map(drop)
}

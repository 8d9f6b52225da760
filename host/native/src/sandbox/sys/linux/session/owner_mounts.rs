//! Mounts that show the files of the children's common user as those of one owner's user.
//!
//! A session of an owner runs with the owner's own user id, and the write roots of its grant
//! belong to the user that all children have in common. The host copies the mount of such a
//! root and gives the copy a map of ids, which exchanges the two: what the session creates
//! there belongs to the common user on disk, and what that user owns the session may change.
//! The session's processes cannot make such a mount, because only root may.
//!
//! The kernel has these mounts from Linux 5.12 on, for ext4, XFS, Btrfs, F2FS, FAT, EROFS and
//! tmpfs (since 6.3), not for overlayfs, NFS, and most of FUSE. Every file system below a root
//! has to support them.

#![allow(unsafe_code, reason = "rustix is built without its mount calls")]

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::net::sockopt::Timeout;

use super::path_error::PathError;
use super::roots::Root;
use crate::launch::Identity;
use crate::sandbox::sys::linux::deadline::retry_in_time;
use crate::sandbox::sys::linux::fd::stdio::above_stdio;
use crate::sandbox::sys::linux::owners::roots::{Reach, reach};
use crate::sandbox::sys::linux::reaper::reap_ending;
use crate::sandbox::sys::linux::spawner::Spawner;

/// How long the process that holds the user namespace may take to make it.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Mounts that are not attached yet, each with the path of its root.
#[derive(Debug, Default)]
pub(crate) struct OwnerMounts(Vec<(PathBuf, OwnedFd)>);

impl OwnerMounts {
    /// Makes the mounts of `roots`, which exchange the user `common` with
    /// `owner`. A root that everybody can reach is left as it is where its file system does
    /// not support the map.
    ///
    /// # Errors
    ///
    /// A root of the common user does not support it: its path, and the system's error.
    pub(crate) fn make(
        spawner: &Spawner,
        roots: &[Root],
        common: u32,
        owner: u32,
    ) -> io::Result<Self> {
        let shown = roots.iter().filter(|root| !root.is_covered(roots));
        let reached = shown.map(|root| (root, reach(&root.real, root.writable, common)));
        let (mut mounts, mut map) = (Vec::new(), None);
        for (root, reach) in reached {
            if reach == Reach::Some {
                continue;
            }
            let map = match &map {
                Some(map) => map,
                None => {
                    let users = exchange(common, owner);
                    map.insert(id_map(spawner, &users, ALL)?)
                }
            };
            match mapped_copy(&root.real, map) {
                Ok(mount) => mounts.push((root.real.clone(), mount)),
                Err(_) if reach == Reach::Everyone => {}
                Err(source) => {
                    let path = root.real.display();
                    let text =
                        format!("{path}: its files cannot be shown as an owner's ({source})");
                    return Err(PathError { text, source }.into());
                }
            }
        }
        Ok(Self(mounts))
    }

    /// Returns the number of the descriptor of the mount at `path`.
    pub(crate) fn at(&self, path: &Path) -> Option<i32> {
        let found = self.0.iter().find(|(root, _)| root == path);
        found.map(|(_, mount)| mount.as_raw_fd())
    }

    /// Returns the descriptors, each 3 or higher.
    pub(crate) fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.0.iter().map(|(_, mount)| mount.as_fd())
    }
}

/// Returns the directory at `path` on a mount that exchanges root with the children's user and
/// group: what root makes there belongs to them on disk.
///
/// # Errors
///
/// Its file system, or one below it, does not support it, or the host may not mount.
pub(crate) fn as_childrens(
    spawner: &Spawner,
    path: &Path,
    common: Identity,
) -> io::Result<OwnedFd> {
    let map = id_map(spawner, &exchange(0, common.uid), &exchange(0, common.gid))?;
    mapped_copy(path, &map)
}

/// The map in which every id is itself.
const ALL: &str = "0 0 4294967295\n";

/// Returns a user namespace with these maps of users and groups.
fn id_map(spawner: &Spawner, users: &str, groups: &str) -> io::Result<File> {
    let (ours, theirs) = UnixStream::pair()?;
    ours.set_read_timeout(Some(TIMEOUT))?;
    let theirs = above_stdio(theirs.into())?;
    let process = spawner.start_id_map(theirs.as_fd())?;
    drop(theirs);
    let mut errno = [0];
    let read = retry_in_time(&ours, Timeout::Recv, || rustix::io::read(&ours, &mut errno));
    let map = read.map_err(io::Error::from).and_then(|count| {
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if errno != [0] {
            return Err(io::Error::from_raw_os_error(i32::from(errno[0])));
        }
        let file = |name: &str| format!("/proc/{}/{name}", process.pid.as_raw_nonzero());
        write(&file("uid_map"), users)?;
        write(&file("gid_map"), groups)?;
        File::open(file("ns/user"))
    });
    drop(ours);
    reap_ending(process);
    map
}

/// Writes to a file of `/proc`, which takes its content in one call.
fn write(path: &str, text: &str) -> io::Result<()> {
    let mut file = File::options().write(true).open(path)?;
    file.write_all(text.as_bytes())
}

/// Returns a map of ids in which `a` and `b` have changed places.
fn exchange(a: u32, b: u32) -> String {
    if a == b {
        return ALL.to_owned();
    }
    let (low, high) = (a.min(b), a.max(b));
    let parts = [
        (0, 0, low),
        (low, high, 1),
        (low + 1, low + 1, high - low - 1),
        (high, low, 1),
        (high + 1, high + 1, u32::MAX - high - 1),
    ];
    let parts = parts.iter().filter(|(_, _, count)| *count > 0);
    let lines = parts.map(|(inside, outside, count)| format!("{inside} {outside} {count}\n"));
    lines.collect()
}

/// Copies the mount at `path`, with all mounts below it, and gives the copy the map.
fn mapped_copy(path: &Path, map: &File) -> io::Result<OwnedFd> {
    const MOUNT_ATTR_IDMAP: u64 = 0x0010_0000;
    let root = crate::confinement::FsRoot::from(path).open()?;
    let recursive = libc::AT_EMPTY_PATH | libc::AT_RECURSIVE;
    #[allow(clippy::cast_sign_loss, reason = "bits, not numbers")]
    let flags = recursive as libc::c_uint | libc::OPEN_TREE_CLONE | libc::OPEN_TREE_CLOEXEC;
    // SAFETY: the kernel reads a C string.
    let copy = unsafe { libc::syscall(libc::SYS_open_tree, root.as_raw_fd(), c"".as_ptr(), flags) };
    let copy = i32::try_from(copy).ok().filter(|fd| *fd >= 0);
    let copy = copy.ok_or_else(io::Error::last_os_error)?;
    // SAFETY: the call has returned a new descriptor, which has no other owner.
    let copy = unsafe { OwnedFd::from_raw_fd(copy) };
    // A `struct mount_attr`: what to set, what to clear, the propagation, the user namespace. Private: what the
    // session mounts on a copy of a shared mount would appear in the host's as well.
    let attributes = [
        MOUNT_ATTR_IDMAP,
        0,
        libc::MS_PRIVATE,
        u64::try_from(map.as_raw_fd()).unwrap_or(u64::MAX),
    ];
    // SAFETY: the kernel reads a C string and a `struct mount_attr`, whose size is passed.
    let set = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            copy.as_raw_fd(),
            c"".as_ptr(),
            recursive,
            attributes.as_ptr(),
            size_of_val(&attributes),
        )
    };
    match set {
        0 => above_stdio(copy),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_exchanges_two_ids_and_keeps_all_others() {
        let map = |a, b| {
            let text = exchange(a, b);
            let lines = text.lines().map(|line| {
                let numbers = line.split(' ').map(|it| it.parse().expect("a number"));
                numbers.collect::<Vec<u32>>()
            });
            let lines: Vec<_> = lines.collect();
            move |id: u32| {
                let part = lines.iter().find(|it| (it[0]..it[0] + it[2]).contains(&id));
                part.map(|it| it[1] + (id - it[0]))
            }
        };
        for (a, b) in [
            (65534, 60600),
            (60600, 65534),
            (1, 2),
            (5, u32::MAX - 1),
            (0, 65534),
            (7, 7),
        ] {
            let map = map(a, b);
            assert_eq!((map(a), map(b)), (Some(b), Some(a)), "{a} {b}");
            for id in [0, 3, 60599, 60601, 65535, u32::MAX - 2] {
                if id != a && id != b {
                    assert_eq!(map(id), Some(id), "{a} {b}");
                }
            }
            assert_eq!(map(u32::MAX), None);
        }
    }
}

//! Roots and the user that children run as, by mode bits.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;

use super::*;

/// Somebody who owns nothing here and is not the host.
const STRANGER: Identity = Identity {
    uid: 54321,
    gid: 54321,
};

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("it is ours");
}

/// The folder `work/out`, which every user may write.
fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let out = folder.path().join("work/out");
    fs::create_dir_all(&out).expect("an empty folder");
    for path in [folder.path(), &folder.path().join("work"), &out] {
        chmod(path, 0o777);
    }
    let out = out.canonicalize().expect("it exists");
    (folder, out)
}

#[test]
fn a_write_root_is_judged_by_its_own_mode() {
    let (_keep, out) = folder();
    let root = FsRoot::from(&out);
    let metadata = out.metadata().expect("it exists");
    let owner = Identity {
        uid: metadata.uid(),
        gid: 54321,
    };
    let member = Identity {
        uid: 54321,
        gid: metadata.gid(),
    };
    for mode in [0o777, 0o707, 0o077, 0o770, 0o700, 0o070, 0o555, 0o666] {
        chmod(&out, mode);
        let can = |identity| unwritable(&root, identity).is_none();
        assert_eq!(can(STRANGER), mode & 3 == 3, "{mode:o}");
        // The first class that fits decides, even if a later one would allow it.
        assert_eq!(can(member), mode & 0o30 == 0o30, "{mode:o}");
        let is_root = owner.uid == 0;
        assert_eq!(can(owner), is_root || mode & 0o300 == 0o300, "{mode:o}");
        assert!(
            can(Identity { uid: 0, gid: 0 }),
            "root may write everything"
        );
    }
    chmod(&out, 0o755);
    let reason = unwritable(&root, STRANGER).expect("it is closed");
    let expected = "the user that children run as (54321:54321) cannot write it: chown it, or run children as another user (--run-as)";
    assert_eq!(reason, format!("write root {}: {expected}", out.display()));
}

#[test]
fn a_root_below_a_directory_that_cannot_be_searched_is_closed() {
    let (_keep, out) = folder();
    let root = FsRoot::from(&out);
    let work = out.parent().expect("it has a parent");
    assert_eq!(unwritable(&root, STRANGER), None);
    assert_eq!(unreadable(&root, STRANGER), None);
    chmod(work, 0o776);
    for reason in [unwritable(&root, STRANGER), unreadable(&root, STRANGER)] {
        let reason = reason.expect("it is closed");
        let expected = format!("cannot search {}", work.display());
        assert!(reason.contains(&expected), "{reason}");
    }
    // Search permission is enough to open what lies in it.
    chmod(work, 0o771);
    assert_eq!(unwritable(&root, STRANGER), None);
}

#[test]
fn a_root_that_is_a_file_needs_no_search_permission() {
    let (_keep, out) = folder();
    let file = out.join("file");
    fs::write(&file, "").expect("the folder is ours");
    let root = FsRoot::from(&file);
    chmod(&file, 0o666);
    assert_eq!(unwritable(&root, STRANGER), None);
    assert_eq!(unreadable(&root, STRANGER), None);
    chmod(&file, 0o640);
    assert!(unwritable(&root, STRANGER).is_some());
    let reason = unreadable(&root, STRANGER).expect("it is closed");
    assert!(reason.ends_with("cannot read it"), "{reason}");
}

#[test]
fn an_access_control_list_may_allow_more_than_the_mode() {
    let (_keep, out) = folder();
    let root = FsRoot::from(&out);
    chmod(&out, 0o755);
    assert!(unwritable(&root, STRANGER).is_some());
    // Version 2, then tag, permissions and ID of each entry, little-endian. The list gives
    // the user 54321 every permission, which the class of others does not have.
    let mut list = 2_u32.to_le_bytes().to_vec();
    let nobody = u32::MAX;
    for (tag, rights, id) in [
        (0x01_u16, 7_u16, nobody),
        (0x02, 7, STRANGER.uid),
        (0x04, 5, nobody),
        (0x10, 7, nobody),
        (0x20, 5, nobody),
    ] {
        list.extend(tag.to_le_bytes());
        list.extend(rights.to_le_bytes());
        list.extend(id.to_le_bytes());
    }
    let flags = rustix::fs::XattrFlags::empty();
    match rustix::fs::setxattr(&out, "system.posix_acl_access", &list, flags) {
        Ok(()) => assert_eq!(unwritable(&root, STRANGER), None),
        // This file system does not support access control lists.
        Err(error) => assert_eq!(error, rustix::io::Errno::OPNOTSUPP),
    }
}

#[test]
fn a_write_root_on_a_read_only_file_system_is_refused() {
    // Any read-only mount of this machine will do.
    let mounts = fs::read_to_string("/proc/self/mounts").expect("proc is there");
    let read_only = mounts.lines().find_map(|line| {
        let mut fields = line.split(' ').skip(1);
        let (path, options) = (fields.next()?, fields.nth(1)?);
        let is_dir = Path::new(path).is_dir();
        (is_dir && options.split(',').any(|it| it == "ro")).then(|| PathBuf::from(path))
    });
    if let Some(path) = read_only {
        let root = FsRoot::from(path);
        let reason = unwritable(&root, Identity { uid: 0, gid: 0 });
        let reason = reason.expect("it is read-only for root too");
        assert!(reason.contains("read-only"), "{reason}");
    }
}

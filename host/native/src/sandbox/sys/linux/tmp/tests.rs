use std::fs::{create_dir_all, read_dir, write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use super::base::{self, Base};
use super::{GuestTmp, TmpDirs};
use crate::launch::Scope;

fn entries(folder: &Path) -> usize {
    read_dir(folder).expect("it exists").count()
}

#[test]
fn a_directory_ends_with_its_guest_and_the_hosts_with_the_launcher() {
    let folder = tempfile::tempdir_in("/tmp").expect("the test may write /tmp");
    let base = Arc::new(Base::make(folder.path(), false).expect("it can be made"));
    let guest = GuestTmp::make(&base, None).expect("it can be made");
    let deep = guest.path().join("a/b/c");
    create_dir_all(&deep).expect("the test may write it");
    write(deep.join("file"), "x").expect("the test may write it");
    // As a cache of sources is left, which its user cannot remove at once.
    for closed in ["a/b", "a"] {
        let closed = guest.path().join(closed);
        let nothing = std::fs::Permissions::from_mode(0o500);
        std::fs::set_permissions(closed, nothing).expect("it is the test's");
    }
    let other = GuestTmp::make(&base, None).expect("it can be made");
    assert_eq!(entries(&base.path), 2);
    drop(other);
    assert_eq!(entries(&base.path), 1, "an empty one is removed at once");
    drop(guest);
    drop(base);
    assert_eq!(entries(folder.path()), 0);
}

#[test]
fn what_a_killed_host_has_left_is_removed_and_what_a_live_one_has_is_not() {
    let folder = tempfile::tempdir_in("/tmp").expect("the test may write /tmp");
    let live = Base::make(folder.path(), false).expect("it can be made");
    let killed = folder.path().join("capspawn-tmp-0123456789abcdef");
    let other = folder.path().join("capspawn-other");
    for path in [&killed, &other] {
        create_dir_all(path.join("guest")).expect("the test may write the folder");
        write(path.join("guest/file"), "x").expect("the test may write the folder");
    }
    let link = folder.path().join("capspawn-tmp-link");
    std::os::unix::fs::symlink(&other, &link).expect("the test may write the folder");
    let next = Base::make(folder.path(), false).expect("it can be made");
    assert!(live.exists() && next.exists());
    assert!(!killed.exists(), "its host holds no lock");
    assert!(other.join("guest/file").exists() && link.exists());
}

#[test]
fn a_place_that_children_cannot_search_or_others_can_rearrange_is_not_used() {
    let folder = tempfile::tempdir_in("/tmp").expect("the test may write /tmp");
    let place = folder.path().join("place");
    create_dir_all(&place).expect("the folder is new");
    let usable = |above, own| {
        for (path, mode) in [(folder.path(), above), (&place, own)] {
            let mode = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(path, mode).expect("it is the test's");
        }
        base::all_can_search(&place)
    };
    assert!(usable(0o755, 0o1777) && usable(0o755, 0o755) && usable(0o711, 0o1711));
    assert!(!usable(0o700, 0o1777) && !usable(0o755, 0o1770));
    assert!(!usable(0o755, 0o777) && !usable(0o777, 0o1777) && !usable(0o775, 0o755));
}

#[test]
fn guests_have_different_directories_and_a_lost_one_is_made_again() {
    let dirs = TmpDirs::default();
    let get = |scope| dirs.get(Scope(scope), None).expect("it can be made");
    let (one, two) = (get(1), get(2));
    assert_ne!(one.path(), two.path());
    assert_eq!(one.path(), get(1).path());
    std::fs::remove_dir(one.path()).expect("it is empty");
    assert_ne!(one.path(), get(1).path());
    assert!(get(1).exists());
    // A cleaner of old files may take everything.
    let base = two.path().parent().expect("it lies in one");
    std::fs::remove_dir_all(base).expect("it is the test's");
    assert!(get(2).exists());
}

#[test]
fn a_closed_guest_keeps_its_directory_until_its_last_child_ends() {
    let dirs = TmpDirs::default();
    let of_a_child = dirs.get(Scope(1), None).expect("it can be made");
    let path = of_a_child.path().to_owned();
    drop(dirs.close(Scope(1)));
    assert!(path.exists());
    drop(of_a_child);
    assert!(!path.exists());
}

use std::fs::{create_dir_all, read_dir, write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use super::base::{self, Base};
use super::removal::remove;
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

/// Runs `work` on a thread that has no rights over files but those of the children's user.
#[allow(unsafe_code, reason = "changes the user of one thread")]
fn as_ordinary_user<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    const NOBODY: libc::c_ulong = 65534;
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            if rustix::process::geteuid().is_root() {
                // SAFETY: the call takes no pointer. It changes this thread alone, which the system call does for itself.
                let _ = unsafe { libc::syscall(libc::SYS_setfsuid, NOBODY) };
            }
            work()
        });
        thread.join().expect("its assertions hold")
    })
}

/// Makes a folder that the children's user owns.
fn owned(path: &Path) {
    create_dir_all(path).expect("the test may write the folder");
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(path, Some(65534), None).expect("root may");
    }
}

fn mode(path: &Path) -> u32 {
    path.metadata().expect("it exists").permissions().mode() & 0o777
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
        .expect("it is the test's");
}

#[test]
fn a_removal_changes_nothing_behind_a_link_that_takes_the_place_of_a_directory() {
    use std::sync::atomic::{AtomicBool, Ordering};

    use rustix::fs::{CWD, RenameFlags, renameat_with};

    let folder = tempfile::tempdir_in("/tmp").expect("the test may write /tmp");
    set_mode(folder.path(), 0o755);
    let [tmp, victim, spare] = ["tmp", "victim", "spare"].map(|name| folder.path().join(name));
    owned(&spare);
    owned(&victim);
    owned(&victim.join("inner"));
    write(victim.join("file"), "x").expect("the test may write it");
    set_mode(&victim.join("inner"), 0o500);
    set_mode(&victim, 0o500);
    let link = spare.join("link");
    for _ in 0..100 {
        owned(&tmp);
        let names: Vec<_> = (0..50).map(|name| tmp.join(name.to_string())).collect();
        for name in &names {
            owned(&name.join("x"));
            owned(name);
            // So that the removal has to change its mode.
            set_mode(name, 0);
        }
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    for name in &names {
                        let _ = std::os::unix::fs::symlink(&victim, &link);
                        let _ = renameat_with(CWD, &link, CWD, name, RenameFlags::EXCHANGE);
                        let _ = std::fs::remove_file(&link);
                        let _ = std::fs::rename(&link, spare.join("taken"));
                        let _ = std::fs::remove_dir_all(spare.join("taken"));
                    }
                }
            });
            as_ordinary_user(|| remove(&tmp));
            is_over.store(true, Ordering::Relaxed);
        });
        as_ordinary_user(|| remove(&tmp));
        let [outer, inner] = [mode(&victim), mode(&victim.join("inner"))];
        assert_eq!((outer, inner), (0o500, 0o500));
        assert!(victim.join("file").exists());
        // The parent belongs to the test, so that an ordinary user leaves the empty directory.
        let _ = std::fs::remove_dir(&tmp);
        assert!(!tmp.exists());
    }
}

#[test]
fn a_directory_deeper_than_any_path_is_removed() {
    let folder = tempfile::tempdir_in("/tmp").expect("the test may write /tmp");
    let tmp = folder.path().join("tmp");
    create_dir_all(&tmp).expect("the folder is new");
    let mut at = rustix::fs::open(&tmp, rustix::fs::OFlags::PATH, rustix::fs::Mode::empty());
    for _ in 0..5000 {
        let parent = at.expect("it was made");
        let mode = rustix::fs::Mode::from_raw_mode(0o500);
        // Its own user may not write to the one above.
        rustix::fs::mkdirat(&parent, c"deeper", rustix::fs::Mode::RWXU).expect("there is room");
        at = rustix::fs::openat(&parent, c"deeper", rustix::fs::OFlags::PATH, mode);
        let _ = rustix::fs::chmodat(&parent, c".", mode, rustix::fs::AtFlags::empty());
    }
    drop(at);
    remove(&tmp);
    assert!(!tmp.exists());
}

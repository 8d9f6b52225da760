//! Files: what a child can do to those outside its roots, and inside.

use std::env;
use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use capspawn_native::sandbox::Tier;
use libc::{EACCES, EBADF, ENODATA, ENOENT, ENOSYS, EOPNOTSUPP, EPERM, EROFS, EXDEV};
use rustix::fs::{FlockOperation, flock};
use test_kit::{open_to_all, scratch};

use crate::attempt::{Attempt, Target, assert_fails, assert_succeeds};
use crate::fixture::{Fixture, give_to_children};
use crate::launcher::tier;
use crate::spec::Spec;
use crate::syscall::{CWD, bits, c_string, call, owned, raw};
use crate::table::Expected::{self, Fails, Succeeds};
use crate::table::{Row, Unconfined, assert_table, permitted, row, unaimed};

/// The filter answers as a file system without extended attributes does.
const NO_ATTRIBUTES: Expected = Fails(EOPNOTSUPP);

/// In a session, files outside the roots do not exist.
#[rustfmt::skip]
pub(crate) const OUTSIDE: &[Row] = &[
    row("read a file outside", read, shared_file, Fails(ENOENT), Fails(EACCES)),
    row("write a file outside", write, shared_file, Fails(ENOENT), Fails(EACCES)),
    row("truncate a file outside", truncate, shared_file, Fails(ENOENT), Fails(EACCES)),
    row("rename a file outside", rename, shared_file, Fails(ENOENT), Fails(EACCES)),
    row("remove a file outside", remove, shared_file, Fails(ENOENT), Fails(EACCES)),
    row("list a folder outside", list, outside, Fails(ENOENT), Fails(EACCES)),
    // By detours: a symbolic link inside, the root of the process, and moving or linking the file to the inside.
    row("read through a link inside", read, link_to_outside, Fails(ENOENT), Fails(EACCES)),
    row("read through the root of the process", read, through_proc_root, Fails(ENOENT), Fails(EACCES)),
    row("move a file from outside to inside", move_inside, shared_file, Fails(ENOENT), Fails(EACCES)),
    row("link a file from outside to inside", link_inside, owned_file, Fails(ENOENT), Fails(EXDEV)),
    row("write in a read root", write, shared_file_in_read_root, Fails(EROFS), Fails(EACCES)),
    // A lock needs no right to write, and is advisory: a host program that takes one too waits while the child lives.
    row("lock a file in a read root (flock)", lock_file, shared_file_in_read_root, Succeeds, Succeeds),
    row("lock a file in a read root (OFD, shared)", lock_range_shared, shared_file_in_read_root, Succeeds, Succeeds),
    row("lock a file in a read root (OFD, exclusive)", lock_range, shared_file_in_read_root, Fails(EBADF), Fails(EBADF))
        .unconfined(Unconfined::NotRun),
    permitted("lock a file inside", lock_file, file_inside),
    // The session's /tmp grants writing below it, and a read-only mount keeps no one from writing to a FIFO. The
    // fixture's folders lie in /tmp.
    row("write to a FIFO in a read root below /tmp", write_fifo, fifo_in_read_root, Succeeds, Fails(EACCES)),
    permitted("read in a read root", read, shared_file_in_read_root),
    permitted("list the write root", list, inside),
    permitted("create a file inside", create, new_file),
    permitted("read a file inside", read, file_inside),
    permitted("write a file inside", write, file_inside),
    permitted("chmod inside", chmod, file_inside),
    permitted("utimes inside", utimes, file_inside),
    permitted("remove a file inside", remove, file_inside),
];

/// Tier B does not hide metadata; the enforcement report calls the gap `fs-metadata`.
#[rustfmt::skip]
pub(crate) const METADATA: &[Row] = &[
    row("stat outside", stat, shared_file, Fails(ENOENT), Succeeds),
    row("chdir outside", enter, outside, Fails(ENOENT), Succeeds),
    row("stat of /run", stat, |_, child| child.at("/run"), Fails(ENOENT), Succeeds),
    row("stat of /sys", stat, |_, child| child.at("/sys"), Fails(ENOENT), Succeeds),
    row("stat of /home", stat, |_, child| child.at("/home"), Fails(ENOENT), Succeeds),
    row("stat of /var", stat, |_, child| child.at("/var"), Fails(ENOENT), Succeeds),
    row("inotify outside", inotify, outside, Fails(ENOENT), Fails(ENOSYS)),
    row("chmod outside", chmod, owned_file, Fails(ENOENT), Succeeds),
    row("utimes outside", utimes, owned_file, Fails(ENOENT), Succeeds),
    row("setxattr outside", setxattr, owned_file, NO_ATTRIBUTES, NO_ATTRIBUTES)
        .unconfined(Unconfined::SucceedsOr(|| &[EOPNOTSUPP])),
    row("setxattr inside", setxattr, file_inside, NO_ATTRIBUTES, NO_ATTRIBUTES)
        .unconfined(Unconfined::SucceedsOr(|| &[EOPNOTSUPP])),
    row("an ACL inside", set_acl, file_inside, NO_ATTRIBUTES, NO_ATTRIBUTES)
        .unconfined(Unconfined::SucceedsOr(|| &[EOPNOTSUPP])),
    row("removexattr inside", removexattr, file_inside, NO_ATTRIBUTES, NO_ATTRIBUTES)
        .unconfined(Unconfined::SucceedsOr(|| &[EOPNOTSUPP, ENODATA])),
    row("chmod in a read root", chmod, owned_file_in_read_root, Fails(EROFS), Succeeds),
    row("utimes in a read root", utimes, owned_file_in_read_root, Fails(EROFS), Succeeds),
    permitted("stat inside", stat, inside),
    permitted("chdir inside", enter, inside),
    // A filter sees no path: tier B cannot allow the watches inside alone.
    row("inotify inside", inotify, inside, Succeeds, Fails(ENOSYS)),
    permitted("read the attributes inside", listxattr, file_inside),
];

/// Files that would outlive the child and could harm their next user.
#[rustfmt::skip]
pub(crate) const INSIDE: &[Row] = &[
    row("set-user-id by chmod", set_user_id, file_inside, Fails(EPERM), Fails(EPERM)),
    row("set-user-id by open", create_set_user_id, new_file, Fails(EPERM), Fails(EPERM)),
    // The group of the children of this suite gives nothing (`set_group_id` tests another one).
    permitted("set-group-id by chmod", set_group_id, file_inside),
    row("a device", make_device, new_file, Fails(EPERM), Fails(EPERM)).unconfined(Unconfined::NotRun),
    // No tier knows the origin of code: a child may execute what it may write.
    row("execute a program that it wrote", execute_written, unaimed, Succeeds, Succeeds),
    permitted("a FIFO", make_fifo, new_file),
];

pub(crate) const SINGLE: &[Attempt] = &[CREATE];

const CREATE: Attempt = Attempt::new("create a file", create);

fn inside(fixture: &Fixture, child: Spec) -> Spec {
    child.at(fixture.inside.path().display())
}

/// A path inside where there is no file.
fn new_file(fixture: &Fixture, child: Spec) -> Spec {
    child.at(fixture.inside.path().join("new").display())
}

/// A file inside that belongs to the children's user.
fn file_inside(fixture: &Fixture, child: Spec) -> Spec {
    let file = fixture.inside.path().join("file");
    fs::write(&file, "s").expect("the test may write the folder");
    give_to_children(&file);
    child.at(file.display())
}

fn outside(fixture: &Fixture, child: Spec) -> Spec {
    child.at(fixture.outside.path().display())
}

fn shared_file(fixture: &Fixture, child: Spec) -> Spec {
    child.at(fixture.shared_file.display())
}

fn owned_file(fixture: &Fixture, child: Spec) -> Spec {
    child.at(fixture.owned_file.display())
}

fn shared_file_in_read_root(fixture: &Fixture, child: Spec) -> Spec {
    shared_file(fixture, child).read(fixture.outside.path())
}

fn owned_file_in_read_root(fixture: &Fixture, child: Spec) -> Spec {
    owned_file(fixture, child).read(fixture.outside.path())
}

fn fifo_in_read_root(fixture: &Fixture, child: Spec) -> Spec {
    let fifo = fixture.outside.path().join("fifo");
    let path = c_string(&fifo.display().to_string());
    let mode = (libc::S_IFIFO | 0o666) as usize;
    call(libc::SYS_mknod, [path.as_ptr().addr(), mode, 0, 0, 0, 0]).expect("a new name");
    open_to_all(&fifo);
    child.at(fifo.display()).read(fixture.outside.path())
}

fn link_to_outside(fixture: &Fixture, child: Spec) -> Spec {
    let link = fixture.inside.path().join("link");
    symlink(&fixture.shared_file, &link).expect("the test may write the folder");
    child.at(link.display())
}

fn through_proc_root(fixture: &Fixture, child: Spec) -> Spec {
    child.at(format!("/proc/self/root{}", fixture.shared_file.display()))
}

fn read(target: &Target) -> io::Result<()> {
    File::open(&target.text).map(drop)
}

fn lock_file(target: &Target) -> io::Result<()> {
    let file = File::open(&target.text)?;
    Ok(flock(file, FlockOperation::NonBlockingLockExclusive)?)
}

fn lock_range_shared(target: &Target) -> io::Result<()> {
    lock_by_ofd(target, libc::F_RDLCK)
}

fn lock_range(target: &Target) -> io::Result<()> {
    lock_by_ofd(target, libc::F_WRLCK)
}

/// Locks the whole file for its open file description.
fn lock_by_ofd(target: &Target, kind: i32) -> io::Result<()> {
    let file = OwnedFd::from(File::open(&target.text)?);
    // A `struct flock`: the kind and the base in 16 bits each, then start, length and pid.
    let lock = [u64::from(kind.cast_unsigned()), 0, 0, 0];
    let command = bits(libc::F_OFD_SETLK);
    let lock = (&raw const lock).addr();
    call(libc::SYS_fcntl, [raw(&file), command, lock, 0, 0, 0]).map(drop)
}

/// Opens it for both, so that the call waits for no reader, and without effect on one.
fn write_fifo(target: &Target) -> io::Result<()> {
    let mut options = File::options();
    options.read(true).write(true).open(&target.text).map(drop)
}

fn list(target: &Target) -> io::Result<()> {
    fs::read_dir(&target.text).map(drop)
}

fn write(target: &Target) -> io::Result<()> {
    let mut options = File::options();
    options.write(true).create(true).truncate(false);
    options.open(&target.text).map(drop)
}

fn create(target: &Target) -> io::Result<()> {
    fs::write(&target.text, "x")
}

fn truncate(target: &Target) -> io::Result<()> {
    let file = c_string(&target.text);
    call(libc::SYS_truncate, [file.as_ptr().addr(), 0, 0, 0, 0, 0]).map(drop)
}

fn rename(target: &Target) -> io::Result<()> {
    fs::rename(&target.text, format!("{}.moved", target.text))
}

fn remove(target: &Target) -> io::Result<()> {
    fs::remove_file(&target.text)
}

fn move_inside(target: &Target) -> io::Result<()> {
    fs::rename(&target.text, "moved")
}

fn link_inside(target: &Target) -> io::Result<()> {
    fs::hard_link(&target.text, "linked")
}

fn stat(target: &Target) -> io::Result<()> {
    fs::metadata(&target.text).map(drop)
}

fn enter(target: &Target) -> io::Result<()> {
    env::set_current_dir(&target.text)
}

fn inotify(target: &Target) -> io::Result<()> {
    let watches = owned(call(libc::SYS_inotify_init1, [0; 6])?);
    let path = c_string(&target.text);
    let changes = libc::IN_CREATE as usize;
    call(
        libc::SYS_inotify_add_watch,
        [raw(&watches), path.as_ptr().addr(), changes, 0, 0, 0],
    )
    .map(drop)
}

fn chmod(target: &Target) -> io::Result<()> {
    set_mode(target, 0o755)
}

fn set_user_id(target: &Target) -> io::Result<()> {
    set_mode(target, 0o4755)
}

fn set_group_id(target: &Target) -> io::Result<()> {
    set_mode(target, 0o2755)
}

fn set_mode(target: &Target, mode: usize) -> io::Result<()> {
    let file = c_string(&target.text);
    call(
        libc::SYS_fchmodat,
        [CWD, file.as_ptr().addr(), mode, 0, 0, 0],
    )
    .map(drop)
}

fn create_set_user_id(target: &Target) -> io::Result<()> {
    let file = c_string(&target.text);
    let flags = bits(libc::O_CREAT | libc::O_WRONLY);
    call(
        libc::SYS_openat,
        [CWD, file.as_ptr().addr(), flags, 0o4755, 0, 0],
    )
    .map(drop)
}

fn utimes(target: &Target) -> io::Result<()> {
    let file = c_string(&target.text);
    call(libc::SYS_utimensat, [CWD, file.as_ptr().addr(), 0, 0, 0, 0]).map(drop)
}

fn setxattr(target: &Target) -> io::Result<()> {
    let file = c_string(&target.text);
    let name = c"user.capspawn".as_ptr().addr();
    call(
        libc::SYS_setxattr,
        [file.as_ptr().addr(), name, name, 1, 0, 0],
    )
    .map(drop)
}

/// Sets an access ACL that repeats the mode and grants one more user reading.
fn set_acl(target: &Target) -> io::Result<()> {
    // `struct posix_acl_xattr_header`, then entries of tag, permissions and id.
    let mut acl = 2u32.to_ne_bytes().to_vec();
    for (tag, permissions, id) in [
        (1u16, 6u16, u32::MAX),
        (2, 4, 1),
        (4, 4, u32::MAX),
        (16, 4, u32::MAX),
        (32, 4, u32::MAX),
    ] {
        acl.extend(tag.to_ne_bytes());
        acl.extend(permissions.to_ne_bytes());
        acl.extend(id.to_ne_bytes());
    }
    let file = c_string(&target.text);
    let name = c"system.posix_acl_access".as_ptr().addr();
    let (value, bytes) = (acl.as_ptr().addr(), acl.len());
    call(
        libc::SYS_setxattr,
        [file.as_ptr().addr(), name, value, bytes, 0, 0],
    )
    .map(drop)
}

fn removexattr(target: &Target) -> io::Result<()> {
    let file = c_string(&target.text);
    let name = c"user.capspawn".as_ptr().addr();
    call(
        libc::SYS_removexattr,
        [file.as_ptr().addr(), name, 0, 0, 0, 0],
    )
    .map(drop)
}

fn listxattr(target: &Target) -> io::Result<()> {
    let file = c_string(&target.text);
    call(libc::SYS_listxattr, [file.as_ptr().addr(), 0, 0, 0, 0, 0]).map(drop)
}

fn make_device(target: &Target) -> io::Result<()> {
    // The null device.
    make_node(target, libc::S_IFCHR | 0o666, 0x103)
}

fn make_fifo(target: &Target) -> io::Result<()> {
    make_node(target, libc::S_IFIFO | 0o666, 0)
}

fn make_node(target: &Target, mode: u32, device: usize) -> io::Result<()> {
    let file = c_string(&target.text);
    let file = file.as_ptr().addr();
    call(libc::SYS_mknod, [file, mode as usize, device, 0, 0, 0]).map(drop)
}

fn execute_written(_: &Target) -> io::Result<()> {
    fs::copy("/bin/sh", "written")?;
    let status = Command::new("./written").args(["-c", "exit 7"]).status()?;
    match status.code() {
        Some(7) => Ok(()),
        _ => Err(io::Error::other("the program did not run")),
    }
}

#[test]
fn a_child_reaches_files_inside_its_roots_and_none_outside() {
    assert_table(OUTSIDE);
}

#[test]
fn a_session_hides_metadata_outside_the_roots_and_tier_b_does_not() {
    assert_table(METADATA);
}

#[test]
fn a_child_makes_no_set_user_id_file_and_no_device() {
    assert_table(INSIDE);
}

/// A session has its own folders under these names, and what a child writes there
/// stays there.
#[test]
fn a_child_cannot_write_the_hosts_shared_folders() {
    for folder in ["/dev/shm", "/tmp"] {
        let shared = format!("{folder}/capspawn-test-{}", std::process::id());
        let child = CREATE.spec().at(&shared);
        match tier() {
            Tier::A => assert_succeeds(&child),
            Tier::B | Tier::C => assert_fails(&child, EACCES),
        }
        assert!(!Path::new(&shared).exists(), "{folder} is the host's");
    }
    let folder = scratch();
    let file = folder.path().join("file");
    assert_succeeds(&CREATE.spec().home(folder.path()).at(file.display()));
    assert!(file.exists());
}

//! Memory and messages that processes share: memfds, System V and POSIX IPC. A session has an IPC namespace of its
//! own, in which they are limited.

use std::env;
use std::ffi::CString;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::process::Command;
use std::ptr::null;

use capspawn_native::sandbox::Tier;
use libc::{EINVAL, EMFILE, ENOENT, ENOSPC, ENOSYS, EPERM};
use test_kit::{TEST_TIMEOUT, exit_status, is_root, test_name};

use crate::attempt::{Attempt, SUCCEEDED, Target, assert_fails, assert_succeeds};
use crate::fixture::Fixture;
use crate::launcher::tier;
use crate::spec::Spec;
use crate::syscall::{bits, c_string, call, owned, raw};
use crate::table::Expected::{self, Fails, Succeeds};
use crate::table::{Row, Unconfined, assert_table, row, unaimed};

/// The filter refuses the call.
const FILTERED: Expected = Fails(EPERM);
/// The filter answers as a kernel without the call does.
const ABSENT: Expected = Fails(ENOSYS);

const NOT_RUN: Unconfined = Unconfined::NotRun;

pub(crate) const SINGLE: &[Attempt] = &[SEGMENT, SEMAPHORES, QUEUE, MEMFD];

const SEGMENT: Attempt = Attempt::new("a segment", make_segment);
const SEMAPHORES: Attempt = Attempt::new("semaphores", make_semaphores);
const QUEUE: Attempt = Attempt::new("a queue of messages", make_message_queue);
const MEMFD: Attempt = Attempt::new("a memfd", make_memfd);

#[rustfmt::skip]
pub(crate) const CALLS: &[Row] = &[
    row("memfd_create", make_memfd, unaimed, Succeeds, FILTERED),
    row("memfd_create with huge pages", make_huge_memfd, unaimed, ABSENT, FILTERED).unconfined(NOT_RUN),
    // As a file in the session's `/tmp`, which children may execute.
    row("execute a memfd", execute_memfd, unaimed, Succeeds, FILTERED),
    row("shmget", make_segment, unaimed, Succeeds, FILTERED),
    row("shmget with huge pages", make_huge_segment, unaimed, FILTERED, FILTERED).unconfined(NOT_RUN),
    row("shmget of more than a session's memory", make_many_segments, unaimed, Fails(ENOSPC), FILTERED),
    row("shmat of the host's segment", attach_segment, segment, Fails(EINVAL), FILTERED),
    row("semget", make_semaphores, unaimed, Succeeds, FILTERED),
    row("semget of 251 semaphores", make_many_semaphores, unaimed, Fails(EINVAL), FILTERED),
    row("msgget", make_message_queue, unaimed, Succeeds, FILTERED),
    row("33 queues of messages", make_message_queues, unaimed, Fails(ENOSPC), FILTERED),
    row("mq_open", open_queue, unaimed, Succeeds, FILTERED),
    row("mq_open of the host's queue", open_hosts_queue, queue, Fails(ENOENT), FILTERED),
    row("more message queues than a session has", open_queues, unaimed, Fails(EMFILE), FILTERED),
];

fn segment(fixture: &Fixture, child: Spec) -> Spec {
    child.at(fixture.shared_memory.number())
}

fn make_memfd(_: &Target) -> io::Result<()> {
    call_memfd_create(0)
}

fn make_huge_memfd(_: &Target) -> io::Result<()> {
    call_memfd_create(libc::MFD_HUGETLB as usize)
}

fn call_memfd_create(flags: usize) -> io::Result<()> {
    let name = c"x".as_ptr().addr();
    call(libc::SYS_memfd_create, [name, flags, 0, 0, 0, 0]).map(drop)
}

/// Executes a program that is in no file system.
fn execute_memfd(_: &Target) -> io::Result<()> {
    let name = c"x".as_ptr().addr();
    let memory = owned(call(libc::SYS_memfd_create, [name, 0, 0, 0, 0, 0])?);
    let mut image = Vec::new();
    File::open("/bin/sh")?.read_to_end(&mut image)?;
    File::from(memory.try_clone()?).write_all(&image)?;
    let script = CString::new(format!("exit {SUCCEEDED}")).expect("the text has no NUL");
    let argv = [c"sh".as_ptr(), c"-c".as_ptr(), script.as_ptr(), null()];
    let envp = [null::<libc::c_char>()];
    let (argv, envp) = (argv.as_ptr().addr(), envp.as_ptr().addr());
    let (path, flags) = (c"".as_ptr().addr(), bits(libc::AT_EMPTY_PATH));
    call(
        libc::SYS_execveat,
        [raw(&memory), path, argv, envp, flags, 0],
    )
    .map(drop)
}

fn make_segment(_: &Target) -> io::Result<()> {
    Segment::new(4096, 0).map(drop)
}

fn make_huge_segment(_: &Target) -> io::Result<()> {
    Segment::new(4096, libc::SHM_HUGETLB).map(drop)
}

/// More than the default of `limits.tmpfs`.
fn make_many_segments(_: &Target) -> io::Result<()> {
    let segments = (0..5).map(|_| Segment::new(16 << 20, 0));
    segments.collect::<io::Result<Vec<_>>>().map(drop)
}

/// System V objects outlive their processes.
struct Segment(usize);

impl Segment {
    fn new(bytes: usize, flags: i32) -> io::Result<Self> {
        let flags = bits(libc::IPC_CREAT | 0o600 | flags);
        let args = [bits(libc::IPC_PRIVATE), bytes, flags, 0, 0, 0];
        call(libc::SYS_shmget, args).map(Self)
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        let args = [self.0, bits(libc::IPC_RMID), 0, 0, 0, 0];
        let _ = call(libc::SYS_shmctl, args);
    }
}

struct Semaphores(usize);

impl Semaphores {
    fn new(count: usize) -> io::Result<Self> {
        let flags = bits(libc::IPC_CREAT | 0o600);
        let args = [bits(libc::IPC_PRIVATE), count, flags, 0, 0, 0];
        call(libc::SYS_semget, args).map(Self)
    }
}

impl Drop for Semaphores {
    fn drop(&mut self) {
        let args = [self.0, 0, bits(libc::IPC_RMID), 0, 0, 0];
        let _ = call(libc::SYS_semctl, args);
    }
}

fn make_semaphores(_: &Target) -> io::Result<()> {
    Semaphores::new(17).map(drop)
}

fn make_many_semaphores(_: &Target) -> io::Result<()> {
    Semaphores::new(251).map(drop)
}

struct MessageQueue(usize);

impl MessageQueue {
    fn new() -> io::Result<Self> {
        let flags = bits(libc::IPC_CREAT | 0o600);
        call(
            libc::SYS_msgget,
            [bits(libc::IPC_PRIVATE), flags, 0, 0, 0, 0],
        )
        .map(Self)
    }
}

impl Drop for MessageQueue {
    fn drop(&mut self) {
        let args = [self.0, bits(libc::IPC_RMID), 0, 0, 0, 0];
        let _ = call(libc::SYS_msgctl, args);
    }
}

/// Sends a message, and receives it.
fn make_message_queue(_: &Target) -> io::Result<()> {
    let queue = MessageQueue::new()?;
    // A `struct msgbuf`: the type, and eight bytes of text.
    let mut message = [1u64, 7];
    let address = (&raw mut message).addr();
    call(libc::SYS_msgsnd, [queue.0, address, 8, 0, 0, 0])?;
    call(libc::SYS_msgrcv, [queue.0, address, 8, 0, 0, 0]).map(drop)
}

fn make_message_queues(_: &Target) -> io::Result<()> {
    let queues = (0..33).map(|_| MessageQueue::new());
    queues.collect::<io::Result<Vec<_>>>().map(drop)
}

fn attach_segment(target: &Target) -> io::Result<()> {
    let flags = bits(libc::SHM_RDONLY);
    call(libc::SYS_shmat, [target.number(), 0, flags, 0, 0, 0]).map(drop)
}

fn queue(fixture: &Fixture, child: Spec) -> Spec {
    child.at(fixture.queue.name())
}

/// Sends a message and receives it, by a queue that is also a file where the session has that file system.
fn open_queue(_: &Target) -> io::Result<()> {
    let queue = Queue::new(0)?;
    let message = c"message".as_ptr().addr();
    call(
        libc::SYS_mq_timedsend,
        [raw(&queue.file), message, 7, 0, 0, 0],
    )?;
    let mut room = [0u8; 8192];
    let room = room.as_mut_ptr().addr();
    let received = call(
        libc::SYS_mq_timedreceive,
        [raw(&queue.file), room, 8192, 0, 0, 0],
    )?;
    assert_eq!(received, 7);
    Ok(())
}

/// Queues have names for all users of an IPC namespace, and outlive their processes.
struct Queue {
    name: CString,
    file: OwnedFd,
}

impl Queue {
    fn new(number: u32) -> io::Result<Self> {
        let name = c_string(&format!("capspawn-test-{}-{number}", std::process::id()));
        let flags = bits(libc::O_CREAT | libc::O_RDWR);
        let address = name.as_ptr().addr();
        let file = owned(call(libc::SYS_mq_open, [address, flags, 0o600, 0, 0, 0])?);
        Ok(Self { name, file })
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        let name = self.name.as_ptr().addr();
        let _ = call(libc::SYS_mq_unlink, [name, 0, 0, 0, 0, 0]);
    }
}

fn open_hosts_queue(target: &Target) -> io::Result<()> {
    let name = c_string(&target.text);
    let flags = bits(libc::O_RDONLY);
    call(libc::SYS_mq_open, [name.as_ptr().addr(), flags, 0, 0, 0, 0]).map(drop)
}

/// As many as a user may have by default, of the default size.
fn open_queues(_: &Target) -> io::Result<()> {
    let queues = (0..8).map(Queue::new);
    queues.collect::<io::Result<Vec<_>>>().map(drop)
}

#[test]
fn ipc_is_the_sessions_own_and_limited() {
    assert_table(CALLS);
}

/// Set in the run with a read-only `/proc/sys`, as containers have.
const READ_ONLY: &str = "CAPSPAWN_TEST_READ_ONLY_SYSCTLS";

#[test]
fn where_a_session_cannot_limit_system_v_it_is_denied() {
    if tier() != Tier::A || !is_root() {
        println!("not shown, only root can make /proc/sys read-only");
        return;
    }
    if env::var_os(READ_ONLY).is_some() {
        for attempt in [SEGMENT, SEMAPHORES, QUEUE] {
            assert_fails(&attempt.spec(), EPERM);
        }
        assert_succeeds(&MEMFD.spec());
        return;
    }
    for attempt in [SEGMENT, SEMAPHORES, QUEUE] {
        assert_succeeds(&attempt.spec());
    }
    let script = "mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys && exec \"$0\" \"$@\"";
    let mut command = Command::new("/usr/bin/unshare");
    command
        .args(["--mount", "sh", "-c", script])
        .arg(env::current_exe().expect("a running program has a path"))
        .args(["--exact", test_name!()])
        .env(READ_ONLY, "1");
    let status = exit_status(&mut command, TEST_TIMEOUT);
    assert!(status.success(), "{status}");
}

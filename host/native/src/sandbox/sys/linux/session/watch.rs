//! The watch over what is denied, while children run.
//!
//! A comparison before each child does not help the children that run already: a mask that the
//! host has detached shows them the file. So the directories of all names that masks depend on are
//! watched by one inotify instance, and one thread, for all sessions; a change ends the
//! sessions that it concerns. The kernel queues an event before the call that caused it returns, so
//! whoever reads the queue before starting a child knows every earlier change, even one that
//! left the same file under the same name.
//!
//! Rejected: an overlay with whiteouts, which hides names and not files. It shows old content
//! once the host has replaced a file, leaves out the mounts below a root, and cannot hold what is
//! written. Also rejected: masking the new file in place of ending the session. The child may
//! hold it open by then.
//!
//! Where no watch is possible (a kernel without inotify, a directory that the host may only search),
//! and on file systems that other machines or programs can change without
//! an event, or that are not known, names are compared at an interval.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::fs::statfs;
use rustix::io::{Errno, ioctl_fionread, retry_on_intr};

use super::instance::Session;
use super::places::Change;
use super::promptness::request_short_slice;
use crate::shortage::Shortage;

/// How often names without a watch are compared.
const COMPARE_INTERVAL: Duration = Duration::from_millis(20);

/// How long the thread rests after it has read this many events of other names: a child that
/// creates and removes files next to a denied path does not keep a processor busy.
const REST: Duration = Duration::from_millis(1);
const EVENTS_BEFORE_REST: u64 = 1024;

/// The size of an event without a name, in bytes.
const EVENT_BYTES: u64 = 16;

/// File systems of which this machine's kernel makes every change: of others, such as NFS, SMB, FUSE, 9P, Ceph and AFS, and
/// of those that are not known here, a change may cause no event.
const WITH_EVENTS: [i64; 14] = [
    libc::EXT4_SUPER_MAGIC, // ext2 and ext3 too
    libc::XFS_SUPER_MAGIC,
    libc::BTRFS_SUPER_MAGIC,
    libc::F2FS_SUPER_MAGIC,
    0xCA45_1A4E, // bcachefs
    0x2FC1_2FC1, // ZFS
    libc::TMPFS_MAGIC,
    0x8584_58F6, // ramfs
    libc::OVERLAYFS_SUPER_MAGIC,
    libc::MSDOS_SUPER_MAGIC,
    0x2011_BAB0, // exFAT
    0x7371_7368, // SquashFS
    0xE0F5_E1E2, // EROFS
    libc::ISOFS_SUPER_MAGIC,
];

/// Ends sessions when what they hide changes. Starts its thread with the first session that
/// hides something.
#[derive(Debug, Default)]
pub(super) struct Watch(Mutex<Option<Arc<Shared>>>);

/// What the thread and the launches share.
#[derive(Debug)]
struct Shared {
    /// None where the kernel has no inotify.
    inotify: Option<OwnedFd>,
    /// Wakes the thread.
    wake: OwnedFd,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    /// The watched directories, by the number of the watch.
    directories: HashMap<i32, Directory>,
    /// Sessions of which a name is not watched.
    compared: Vec<Weak<Session>>,
    is_stopped: bool,
}

#[derive(Debug)]
struct Directory {
    path: PathBuf,
    names: Vec<(OsString, Weak<Session>)>,
}

impl Watch {
    /// Watches over what `session` hides, until the session is dropped.
    ///
    /// # Errors
    ///
    /// The host lacks a thread, a descriptor, or instances or watches of inotify.
    pub(super) fn add(&self, session: &Arc<Session>) -> io::Result<()> {
        if session.masking_names().next().is_none() {
            return Ok(());
        }
        let shared = {
            let mut started = self.0.lock();
            match &*started {
                Some(shared) => Arc::clone(shared),
                None => Arc::clone(started.insert(Shared::start(new_inotify()?)?)),
            }
        };
        shared.add(session)
    }

    /// Ends the sessions that changes up to now concern. One system call if there are none.
    pub(super) fn read(&self) {
        let shared = self.0.lock().clone();
        if let Some(shared) = shared {
            shared.read();
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(shared) = self.0.get_mut().take() {
            shared.table.lock().is_stopped = true;
            shared.wake();
        }
    }
}

impl Shared {
    /// Starts the thread.
    fn start(inotify: Option<OwnedFd>) -> io::Result<Arc<Self>> {
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        let shared = Arc::new(Self {
            inotify,
            wake: eventfd(0, flags)?,
            table: Mutex::default(),
        });
        let its = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("capspawn-watch".into());
        thread.spawn(move || its.run())?;
        Ok(shared)
    }

    fn add(&self, session: &Arc<Session>) -> io::Result<()> {
        let mut table = self.table.lock();
        self.forget_ended(&mut table);
        let mut is_complete = true;
        for path in session.masking_names() {
            let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else {
                continue;
            };
            match self.watch(dir) {
                Ok(number) => {
                    let directory = table
                        .directories
                        .entry(number)
                        .or_insert_with(|| Directory {
                            path: dir.to_owned(),
                            names: Vec::new(),
                        });
                    directory
                        .names
                        .push((name.to_owned(), Arc::downgrade(session)));
                    is_complete &= has_events(dir);
                }
                // A state of the moment: comparing at an interval would be a weaker watch.
                Err(Errno::NOSPC | Errno::NOMEM) => return Err(Shortage::Watches.into()),
                Err(error) => {
                    is_complete = false;
                    if self.inotify.is_some() {
                        tracing::warn!(
                            %error,
                            "{} cannot be watched (no permission to read it): what fs.deny names there is compared every {COMPARE_INTERVAL:?} instead",
                            dir.display()
                        );
                    }
                }
            }
        }
        if !is_complete {
            table.compared.push(Arc::downgrade(session));
            self.wake();
        }
        Ok(())
    }

    fn watch(&self, dir: &Path) -> Result<i32, Errno> {
        let inotify = self.inotify.as_ref().ok_or(Errno::NOSYS)?;
        let flags = WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::MOVED_FROM
            | WatchFlags::MOVED_TO
            | WatchFlags::ONLYDIR
            | WatchFlags::DONT_FOLLOW;
        inotify::add_watch(inotify, dir, flags)
    }

    /// Forgets sessions that are gone, and the directories that were watched for them alone.
    fn forget_ended(&self, table: &mut Table) {
        let is_there = |session: &Weak<Session>| session.strong_count() > 0;
        table.compared.retain(is_there);
        table.directories.retain(|number, directory| {
            directory.names.retain(|(_, session)| is_there(session));
            let is_used = !directory.names.is_empty();
            if let Some(inotify) = self.inotify.as_ref().filter(|_| !is_used) {
                // An error means that the directory is gone.
                let _ = inotify::remove_watch(inotify, *number);
            }
            is_used
        });
    }

    /// Reads the events that are queued, and ends the sessions that they concern. Returns how
    /// many there were.
    fn read(&self) -> u64 {
        let Some(inotify) = &self.inotify else {
            return 0;
        };
        // Reported and dropped after the lock is: it may be the last reference to a session.
        let mut ended = Vec::new();
        let mut is_incomplete = false;
        let mut events = 0;
        let table = self.table.lock();
        // Not those that are queued meanwhile: a child can cause events without end.
        let queued = ioctl_fionread(inotify).unwrap_or(0) / EVENT_BYTES;
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut reader = Reader::new(inotify, &mut buffer);
        // What is left in the buffer would be lost with it.
        while events < queued || !reader.is_buffer_empty() {
            match reader.next() {
                Ok(event) => {
                    events += 1;
                    is_incomplete |= event.events().contains(ReadFlags::QUEUE_OVERFLOW);
                    let name = event
                        .file_name()
                        .map(|name| OsStr::from_bytes(name.to_bytes()));
                    let directory = table.directories.get(&event.wd());
                    if let (Some(directory), Some(name)) = (directory, name) {
                        ended.extend(directory.end(name));
                    }
                }
                Err(Errno::INTR) => {}
                Err(Errno::WOULDBLOCK) => break,
                Err(_) => {
                    is_incomplete = true;
                    break;
                }
            }
        }
        let all = if is_incomplete {
            table.sessions()
        } else {
            Vec::new()
        };
        drop(table);
        for session in ended {
            session.report_end();
        }
        for session in all {
            session.end_if_unmasked();
        }
        events
    }

    /// Reads events and compares names until the watch is dropped.
    fn run(&self) {
        request_short_slice();
        let mut rests = false;
        loop {
            let compares = {
                let table = self.table.lock();
                if table.is_stopped {
                    return;
                }
                !table.compared.is_empty()
            };
            let timeout = match (rests, compares) {
                (true, _) => Some(REST),
                (false, true) => Some(COMPARE_INTERVAL),
                (false, false) => None,
            };
            self.wait(timeout, !rests);
            rests = self.read() >= EVENTS_BEFORE_REST;
            if compares {
                self.compare();
            }
        }
    }

    /// Waits for a wake-up or, if `for_events`, an event.
    fn wait(&self, timeout: Option<Duration>, for_events: bool) {
        let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
        let inotify = self.inotify.as_ref().filter(|_| for_events);
        let fds = [Some(&self.wake), inotify];
        let mut fds: Vec<_> = fds
            .into_iter()
            .flatten()
            .map(|fd| PollFd::new(fd, PollFlags::IN))
            .collect();
        // An error is a wake-up too early.
        let _ = poll(&mut fds, timeout.as_ref());
        let _ = rustix::io::read(&self.wake, &mut [0; 8]);
    }

    fn compare(&self) {
        let mut table = self.table.lock();
        table.compared.retain(|session| session.strong_count() > 0);
        let sessions: Vec<_> = table.compared.iter().filter_map(Weak::upgrade).collect();
        drop(table);
        for session in sessions {
            session.end_if_unmasked();
        }
    }

    fn wake(&self) {
        // An error means that a wake-up is pending.
        let _ = retry_on_intr(|| rustix::io::write(&self.wake, &1u64.to_ne_bytes()));
    }
}

impl Table {
    fn sessions(&self) -> Vec<Arc<Session>> {
        let names = self.directories.values().flat_map(|it| &it.names);
        names.filter_map(|(_, session)| session.upgrade()).collect()
    }
}

impl Directory {
    /// Ends the sessions that depend on `name`, and returns those that had not ended.
    fn end(&self, name: &OsStr) -> impl Iterator<Item = Arc<Session>> {
        let concerned = self.names.iter().filter(move |(it, _)| it == name);
        let sessions = concerned.filter_map(|(_, session)| session.upgrade());
        sessions.filter(move |session| session.end(Change::of_mask(&self.path, name)))
    }
}

#[cfg(test)]
impl Watch {
    /// Returns the watch of a host without inotify.
    pub(super) fn without_events() -> Self {
        let shared = Shared::start(None).expect("a thread");
        Self(Mutex::new(Some(shared)))
    }

    /// Returns how often names of the session are watched.
    pub(super) fn count(&self, session: &Arc<Session>) -> usize {
        let shared = self.0.lock().clone().expect("it has started");
        let table = shared.table.lock();
        let names = table.directories.values().flat_map(|it| &it.names);
        let is_its =
            |(_, other): &&(OsString, Weak<Session>)| other.as_ptr() == Arc::as_ptr(session);
        names.filter(is_its).count()
    }

    pub(super) fn has_events(&self) -> bool {
        let shared = self.0.lock();
        shared
            .as_ref()
            .is_some_and(|shared| shared.inotify.is_some())
    }
}

/// Makes the instance; none where the kernel has no inotify.
///
/// # Errors
///
/// The host has no instance left.
fn new_inotify() -> io::Result<Option<OwnedFd>> {
    match inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK) {
        Ok(inotify) => Ok(Some(inotify)),
        // The limit of the user, or that of the process.
        Err(Errno::MFILE) if has_descriptor() => Err(Shortage::Watches.into()),
        Err(error @ (Errno::MFILE | Errno::NFILE | Errno::NOMEM)) => Err(error.into()),
        Err(error) => {
            tracing::warn!(
                %error,
                "there is no inotify: what fs.deny names is compared every {COMPARE_INTERVAL:?} instead"
            );
            Ok(None)
        }
    }
}

/// Whether the process has a free descriptor.
fn has_descriptor() -> bool {
    eventfd(0, EventfdFlags::CLOEXEC).is_ok()
}

/// Returns whether every change in a directory causes an event.
fn has_events(dir: &Path) -> bool {
    let found = statfs(dir).map(|found| found.f_type);
    found.is_ok_and(|kind| WITH_EVENTS.contains(&kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_file_systems_that_this_machine_alone_changes_have_events() {
        /// The kernel's AFS, and that of OpenAFS.
        const AFS: [i64; 2] = [0x6B41_4653, libc::AFS_SUPER_MAGIC];
        const SMB: i64 = 0xFE53_4D42;
        const CEPH: i64 = 0x00C3_6400;
        const UNKNOWN: i64 = 0x1234_5678;
        for kind in [
            libc::NFS_SUPER_MAGIC,
            libc::FUSE_SUPER_MAGIC,
            SMB,
            CEPH,
            UNKNOWN,
        ]
        .into_iter()
        .chain(AFS)
        {
            assert!(!WITH_EVENTS.contains(&kind), "{kind:#x}");
        }
        // A file system in memory, one that programs of this machine change, and none.
        assert!(has_events(Path::new("/dev/shm")));
        assert!(!has_events(Path::new("/proc/self")));
        assert!(!has_events(Path::new("/missing")));
    }
}

//! The look-ups of paths that one decision makes, bounded.
//!
//! A guest chooses the paths of its arguments, and may write the symbolic links that they lead
//! through: one path of 40 links can make a walk by name look at 80,000 places, and a pattern with
//! `repeat` takes thousands of such paths. So the kernel resolves a path, in one call; a path is
//! resolved once for each decision, however many patterns and rules it is matched with; and a
//! decision has a number of look-ups and a time, after which the request is refused. A path that must
//! stay inside its roots is walked by name, because no place outside may be looked at: once for each
//! pattern that it is matched with. Each place is one look-up, however many paths lead through it, and
//! the visits have a bound of their own. What was found is remembered up to a number of bytes; it is
//! looked up again beyond that.
//!
//! Rejected: a bound on the arguments alone. A short path can be dear, and many plain ones are cheap.

use std::cell::{Cell, RefCell};
use std::collections::hash_map::RandomState;
use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::hash::BuildHasher as _;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;

use super::paths::{self, is_host_exhausted};
use crate::confinement::{FsRoot, walk};
use crate::error::SpawnError;
use crate::limits::{DECISION_TIMEOUT, MAX_LOOKUPS, MAX_VISITS};
use crate::shortage::Shortage;

/// The number of symbolic links that Linux follows in one path.
const MAX_LINKS: usize = 40;

/// How often a path is resolved once more that seems to have too many links: 4. The kernel counts the
/// links again where it has to begin a walk anew, so that a path of 20 to 40 of them fails now and
/// then on a busy machine.
const LOOP_RETRIES: usize = 4;

/// How many bytes of paths are remembered: 8 MiB. 65,536 paths of 4096 bytes would be 512 MiB.
const REMEMBERED_BYTES: usize = 8 * 1024 * 1024;

/// What stopped a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    /// The request has used up its look-ups.
    Lookups,
    /// The decision has used up its time.
    Time,
    /// The host lacks descriptors or memory.
    Host(Errno),
}

/// What an answer about a path of the request depends on besides: the rule, by its address, its
/// directory, and the roots of one pattern.
type About = (usize, PathBuf, Vec<PathBuf>);

/// What one decision may still look up, and what it has looked up.
#[derive(Debug)]
pub(crate) struct Lookups {
    left: Cell<usize>,
    visits_left: Cell<usize>,
    bytes_left: Cell<usize>,
    until: Instant,
    stop: Cell<Option<Stop>>,
    resolved: RefCell<HashMap<PathBuf, Result<PathBuf, Errno>>>,
    /// Whether paths as the request has them lead where a pattern allows.
    answers: RefCell<HashMap<About, HashMap<OsString, bool>>>,
    /// The places that were walked through, each as a hash: a path may have 4096 bytes.
    walked: RefCell<HashSet<u64>>,
    hashes: RandomState,
}

impl Lookups {
    /// Returns the look-ups of a new decision.
    pub(crate) fn new() -> Self {
        Self::bounded(MAX_LOOKUPS, DECISION_TIMEOUT)
    }

    fn bounded(lookups: usize, time: Duration) -> Self {
        Self {
            left: Cell::new(lookups),
            visits_left: Cell::new(MAX_VISITS),
            bytes_left: Cell::new(REMEMBERED_BYTES),
            until: Instant::now() + time,
            stop: Cell::new(None),
            resolved: RefCell::default(),
            answers: RefCell::default(),
            walked: RefCell::default(),
            hashes: RandomState::new(),
        }
    }

    /// Returns `decided`, unless the decision was stopped: what it has found then is not what the
    /// request deserves.
    ///
    /// # Errors
    ///
    /// What stopped it.
    pub(crate) fn finish<T>(&self, decided: Result<T, SpawnError>) -> Result<T, SpawnError> {
        match self.stop.get() {
            None => decided,
            Some(Stop::Lookups) => Err(SpawnError::TooManyLookups),
            Some(Stop::Time) => Err(SpawnError::Shortage(Shortage::Time)),
            Some(Stop::Host(errno)) => Err(SpawnError::Shortage(
                Shortage::of(errno).unwrap_or(Shortage::Memory),
            )),
        }
    }

    /// Resolves `path` from `cwd`, with every symbolic link followed. A file that does not exist
    /// lies below the deepest directory that does.
    ///
    /// The file system may change right after. Path rules are admission; the boundary is the
    /// sandbox.
    ///
    /// # Errors
    ///
    /// A path that the system would not follow either: through a file, up from a directory that
    /// does not exist, through too many links or a link of `/proc` to an open file, or into a
    /// directory that cannot be searched. Any path once the decision was stopped.
    pub(super) fn resolve(&self, cwd: &Path, path: &Path) -> io::Result<PathBuf> {
        let path = cwd.join(path);
        if let Some(known) = self.resolved.borrow().get(&path) {
            return known.clone().map_err(io::Error::from);
        }
        let found = self.by_kernel(&path);
        let kept = found
            .as_ref()
            .map(PathBuf::clone)
            .map_err(|error| Errno::from_io_error(error).unwrap_or(Errno::NOENT));
        let bytes = path.as_os_str().len() + kept.as_ref().map_or(0, |path| path.as_os_str().len());
        if self.may_remember(bytes) {
            self.resolved.borrow_mut().insert(path, kept);
        }
        found
    }

    /// Resolves an absolute path by name, and fails at the first place that `may` refuses, before
    /// looking at it.
    ///
    /// # Errors
    ///
    /// As [`Lookups::resolve`], and a place that `may` refuses.
    pub(super) fn resolve_within(
        &self,
        path: &Path,
        mut may: impl FnMut(&Path) -> bool,
    ) -> io::Result<PathBuf> {
        walk(
            Path::new("/"),
            path,
            |place| may(place) && self.take_place(place).is_ok(),
            |_| (),
        )
    }

    /// Returns what `find` has found about `path`. A path of a request may occur thousands of times, in
    /// one pattern that repeats.
    pub(super) fn once(&self, about: About, path: &OsStr, find: impl FnOnce() -> bool) -> bool {
        let known = || self.answers.borrow().get(&about)?.get(path).copied();
        if let Some(known) = known() {
            return known;
        }
        let found = find();
        if !self.may_remember(path.len()) {
            return found;
        }
        let mut answers = self.answers.borrow_mut();
        let paths = answers.entry(about).or_default();
        paths.insert(path.to_owned(), found);
        found
    }

    /// Returns whether a resolved path is denied: at or below one of `denied` as it is written, as
    /// it resolved when the grant was loaded, or as it resolves now.
    pub(crate) fn is_denied(&self, path: &Path, denied: &[FsRoot]) -> bool {
        paths::is_denied(path, denied, |written| {
            self.resolve(Path::new("/"), written)
        })
    }

    /// Whether the decision was stopped, so that no answer from now on counts.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stop.get().is_some()
    }

    /// Whether so many bytes more are remembered.
    fn may_remember(&self, bytes: usize) -> bool {
        let left = self.bytes_left.get().checked_sub(bytes);
        left.inspect(|left| self.bytes_left.set(*left)).is_some()
    }

    /// Takes one look-up.
    fn take(&self) -> io::Result<()> {
        self.take_count(1)
    }

    /// Takes one visit, and one look-up for a place that none was taken for before.
    fn take_place(&self, place: &Path) -> io::Result<()> {
        match self.visits_left.get().checked_sub(1) {
            Some(left) => self.visits_left.set(left),
            None if self.stop.get().is_none() => self.stop.set(Some(Stop::Lookups)),
            None => {}
        }
        let is_new = self.walked.borrow_mut().insert(self.hashes.hash_one(place));
        self.take_count(usize::from(is_new))
    }

    fn take_count(&self, count: usize) -> io::Result<()> {
        if self.stop.get().is_none() {
            match self.left.get().checked_sub(count) {
                None => self.stop.set(Some(Stop::Lookups)),
                Some(_) if Instant::now() >= self.until => self.stop.set(Some(Stop::Time)),
                Some(left) => {
                    self.left.set(left);
                    return Ok(());
                }
            }
        }
        Err(Errno::CANCELED.into())
    }

    /// Resolves an absolute path by calls that each look up as much of it as exists.
    fn by_kernel(&self, path: &Path) -> io::Result<PathBuf> {
        let mut path = path.to_owned();
        for _ in 0..=MAX_LINKS {
            match self.existing(&path) {
                Ok(Some(real)) => return Ok(real),
                Ok(None) => {}
                Err(Errno::NOSYS | Errno::PERM) => return self.by_name(&path),
                Err(errno) => return Err(errno.into()),
            }
            // A part of it does not exist. What exists is searched by halves: a prefix of what exists exists.
            let parts: Vec<_> = parts(&path).collect();
            let (mut there, mut missing) = (0, parts.len());
            let mut base = PathBuf::from("/");
            while missing - there > 1 {
                let middle = there.midpoint(missing);
                match self.existing(&prefix(&parts, middle))? {
                    Some(real) => (there, base) = (middle, real),
                    None => missing = middle,
                }
            }
            let Some((next, rest)) = parts.get(there..).and_then(<[_]>::split_first) else {
                return Err(Errno::NOENT.into());
            };
            self.take()?;
            let next = base.join(next);
            match fs::read_link(&next) {
                // A link whose target does not exist: writing to it would make the target.
                Ok(target) => {
                    path = rest
                        .iter()
                        .fold(base.join(target), |path, part| path.join(part))
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    return match rest.contains(&OsStr::new("..")) {
                        true => Err(Errno::NOTDIR.into()),
                        false => Ok(rest.iter().fold(next, |path, part| path.join(part))),
                    };
                }
                // It has appeared meanwhile.
                Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {}
                Err(error) => return Err(error),
            }
        }
        Err(Errno::LOOP.into())
    }

    /// Returns what the file at `path` is called without links; none if there is no such file.
    fn existing(&self, path: &Path) -> Result<Option<PathBuf>, Errno> {
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let open = || {
            self.take().map_err(|_| Errno::CANCELED)?;
            openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_MAGICLINKS)
        };
        let mut opened = open();
        for _ in 0..LOOP_RETRIES {
            if opened.as_ref().err() == Some(&Errno::LOOP) {
                opened = open();
            }
        }
        match opened {
            Ok(file) => name(&file).map(Some),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => {
                if is_host_exhausted(errno) {
                    self.stop.set(Some(Stop::Host(errno)));
                }
                Err(errno)
            }
        }
    }

    /// Resolves a path as the kernel would, place by place: where the kernel has no openat2 or the
    /// host no `/proc`.
    fn by_name(&self, path: &Path) -> io::Result<PathBuf> {
        self.resolve_within(path, |_| true)
    }
}

/// Returns the path of an open file, as the kernel shows it.
///
/// # Errors
///
/// `ENOSYS` where `/proc` shows no usable path.
fn name(file: &OwnedFd) -> Result<PathBuf, Errno> {
    let shown = fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()));
    let shown = shown.map_err(|_| Errno::NOSYS)?;
    // A removed file has this mark, and so may a file that is there.
    let is_plain = shown.is_absolute() && !shown.as_os_str().as_bytes().ends_with(b" (deleted)");
    is_plain.then_some(shown).ok_or(Errno::NOSYS)
}

/// Returns the names on an absolute path.
fn parts(path: &Path) -> impl Iterator<Item = &OsStr> {
    path.components().filter_map(|part| match part {
        Component::Normal(_) | Component::ParentDir => Some(part.as_os_str()),
        _ => None,
    })
}

fn prefix(parts: &[&OsStr], count: usize) -> PathBuf {
    let root = PathBuf::from("/");
    let taken = parts.iter().take(count);
    taken.fold(root, |path, part| path.join(part))
}

#[cfg(test)]
mod tests;

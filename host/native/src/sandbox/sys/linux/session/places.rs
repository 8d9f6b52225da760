//! What a session was built on: names on the host, and the file that each named then.
//!
//! A mount shows or covers a file, not a name. The kernel even detaches a mount when the
//! file below it is renamed over or removed on the host, and what the name means next is
//! then visible. So each name is compared before each child. A file is told by its device, its
//! inode and its time of birth; without the last, a file system that uses an inode number
//! again at once would show a new file as the old one.

use std::ffi::{CStr, CString, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::{fmt, io};

use rustix::fs::{AtFlags, CWD, FileType, StatxFlags, StatxTimestamp, statx};
use rustix::io::Errno;

use super::masks::Masks;
use super::path_error::c_string;
use super::roots::{Root, is_in_proc};
use crate::confinement::FsRules;

/// The names that a session depends on.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// Those that decide what the masks cover.
    masking: Vec<Place>,
    /// The roots.
    shown: Vec<Place>,
}

/// A name, and the file that it named.
#[derive(Debug)]
struct Place {
    path: CString,
    file: Option<File>,
}

/// Which file it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct File {
    device: (u32, u32),
    inode: u64,
    /// None where the file system does not record it.
    born: Option<(i64, u32)>,
    /// When its metadata changed last; none of a directory, whose time changes with its entries.
    changed: Option<(i64, u32)>,
}

/// A name that no longer names the same file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    /// A denied file may be visible.
    Unmasked(PathBuf),
    /// A root shows what its name named before.
    Moved(PathBuf),
}

impl Places {
    /// Returns the names that `masks` and the roots of `rules` depend on, as they are now.
    ///
    /// # Errors
    ///
    /// The system does not tell what a path names.
    pub(super) fn now(masks: &Masks, rules: &FsRules, roots: &[Root]) -> io::Result<Self> {
        let missing =
            |path: &&PathBuf| !is_in_proc(path) && !roots.iter().any(|root| root.real == **path);
        let rest = rules.read.iter().map(|root| &root.real).filter(missing);
        let mut shown: Vec<_> = roots.iter().map(|root| &root.real).chain(rest).collect();
        shown.sort();
        shown.dedup();
        let masking = masks.names.iter().map(|path| Place::now(path));
        let shown = shown.into_iter().map(|path| Place::now(path));
        Ok(Self {
            masking: masking.collect::<io::Result<_>>()?,
            shown: shown.collect::<io::Result<_>>()?,
        })
    }

    /// Returns the first name that names another file by now.
    pub(super) fn change(&self) -> Option<Change> {
        self.unmasked().or_else(|| {
            let moved = self.shown.iter().find(|place| !place.is_same());
            moved.map(|place| Change::Moved(place.path().to_owned()))
        })
    }

    /// Returns the first name that decides what the masks cover, and names another file by now.
    pub(super) fn unmasked(&self) -> Option<Change> {
        let unmasked = self.masking.iter().find(|place| !place.is_same());
        unmasked.map(|place| Change::Unmasked(place.path().to_owned()))
    }

    /// Returns whether no name has named another file since, and no masked file has been renamed
    /// for a while: that would have changed its metadata.
    pub(super) fn are_untouched(&self) -> bool {
        self.masking
            .iter()
            .all(|place| File::at(&place.path).is_ok_and(|now| place.file == now))
            && self.shown.iter().all(Place::is_same)
    }

    /// Returns the names that decide what the masks cover.
    pub(super) fn masking(&self) -> impl Iterator<Item = &Path> {
        self.masking.iter().map(Place::path)
    }
}

impl Place {
    fn now(path: &Path) -> io::Result<Self> {
        let path = c_string(path)?;
        let file = File::at(&path)?;
        Ok(Self { path, file })
    }

    fn path(&self) -> &Path {
        Path::new(OsStr::from_bytes(self.path.to_bytes()))
    }

    fn is_same(&self) -> bool {
        match (&self.file, File::at(&self.path)) {
            (Some(then), Ok(Some(now))) => then.is_same(&now),
            (None, Ok(None)) => true,
            _ => false,
        }
    }
}

impl File {
    /// Returns the file at `path`, a symbolic link itself; none where there is none, or where
    /// the host may not look.
    fn at(path: &CStr) -> io::Result<Option<Self>> {
        // No more than is compared: this is done before each child.
        let wanted = StatxFlags::TYPE | StatxFlags::INO | StatxFlags::BTIME | StatxFlags::CTIME;
        let found = match statx(CWD, path, AtFlags::SYMLINK_NOFOLLOW, wanted) {
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::ACCESS) => return Ok(None),
            found => found?,
        };
        let time = |time: StatxTimestamp| (time.tv_sec, time.tv_nsec);
        let has_birth = found.stx_mask & StatxFlags::BTIME.bits() != 0;
        let is_directory = FileType::from_raw_mode(found.stx_mode.into()).is_dir();
        Ok(Some(Self {
            device: (found.stx_dev_major, found.stx_dev_minor),
            inode: found.stx_ino,
            born: has_birth.then(|| time(found.stx_btime)),
            changed: (!is_directory).then(|| time(found.stx_ctime)),
        }))
    }

    fn is_same(&self, other: &Self) -> bool {
        (self.device, self.inode, self.born) == (other.device, other.inode, other.born)
    }
}

impl Change {
    /// Returns the change of a name that decides what the masks cover.
    pub(super) fn of_mask(dir: &Path, name: &OsStr) -> Self {
        Self::Unmasked(dir.join(name))
    }
}

/// What happened, to which path, and what to do.
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unmasked(path) => write!(
                f,
                "{} was replaced, created or removed on the host, and fs.deny depends on it: the children that could see the change were killed. Start them again: new children do not see what is denied",
                path.display()
            ),
            Self::Moved(path) => write!(
                f,
                "{} was replaced, created or removed on the host: new children see what is there now",
                path.display()
            ),
        }
    }
}

//! What a session was built on: names on the host, and the file that each named then.
//!
//! A mount shows or covers a file, not a name. The kernel even detaches a mount when the
//! file below it is renamed over or removed on the host, and what the name means next is
//! then visible. So each name is compared before each child. A file is told by its device, its
//! inode and its time of birth; without the last, a file system that uses an inode number
//! again at once would show a new file as the old one.

use std::ffi::OsStr;
use std::fmt;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::masks::Masks;
use super::roots::Root;
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
    path: PathBuf,
    file: Option<File>,
}

/// Which file it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct File {
    device: u64,
    inode: u64,
    /// None where the file system does not record it.
    born: Option<SystemTime>,
    /// When its metadata changed last; none of a directory, whose time changes with its entries.
    changed: Option<(i64, i64)>,
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
    pub(super) fn now(masks: &Masks, rules: &FsRules, roots: &[Root]) -> Self {
        let missing = |path: &&PathBuf| !roots.iter().any(|root| root.real == **path);
        let rest = rules.read.iter().map(|root| &root.real).filter(missing);
        let mut shown: Vec<_> = roots.iter().map(|root| &root.real).chain(rest).collect();
        shown.sort();
        shown.dedup();
        Self {
            masking: masks.names.iter().map(|path| Place::now(path)).collect(),
            shown: shown.into_iter().map(|path| Place::now(path)).collect(),
        }
    }

    /// Returns the first name that names another file by now.
    pub(super) fn change(&self) -> Option<Change> {
        self.unmasked().or_else(|| {
            let moved = self.shown.iter().find(|place| !place.is_same());
            moved.map(|place| Change::Moved(place.path.clone()))
        })
    }

    /// Returns the first name that decides what the masks cover, and names another file by now.
    pub(super) fn unmasked(&self) -> Option<Change> {
        let unmasked = self.masking.iter().find(|place| !place.is_same());
        unmasked.map(|place| Change::Unmasked(place.path.clone()))
    }

    /// Returns whether no name has named another file since, and no masked file has been renamed
    /// for a while: that would have changed its metadata.
    pub(super) fn are_untouched(&self) -> bool {
        self.masking
            .iter()
            .all(|place| place.file == File::at(&place.path))
            && self.shown.iter().all(Place::is_same)
    }

    /// Returns the names that decide what the masks cover.
    pub(super) fn masking(&self) -> impl Iterator<Item = &Path> {
        self.masking.iter().map(|place| place.path.as_path())
    }
}

impl Place {
    fn now(path: &Path) -> Self {
        let file = File::at(path);
        let path = path.to_owned();
        Self { path, file }
    }

    fn is_same(&self) -> bool {
        let now = File::at(&self.path);
        match (&self.file, now) {
            (Some(then), Some(now)) => then.is_same(&now),
            (None, None) => true,
            _ => false,
        }
    }
}

impl File {
    /// Returns the file at `path`, a symbolic link itself; none where there is none, or where
    /// the host may not look.
    fn at(path: &Path) -> Option<Self> {
        let found = path.symlink_metadata().ok()?;
        Some(Self::of(&found))
    }

    fn of(found: &Metadata) -> Self {
        Self {
            device: found.dev(),
            inode: found.ino(),
            born: found.created().ok(),
            changed: (!found.is_dir()).then(|| (found.ctime(), found.ctime_nsec())),
        }
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

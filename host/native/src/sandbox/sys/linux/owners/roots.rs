//! Roots whose files belong to the user that all children have in common.
//!
//! An operator gives such files to that user: a write root always, and a read root that only
//! that user may enter. A child that runs as its owner's user has no right to them by itself.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::confinement::FsRules;

/// Who can use a root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// The children's common user: it writes there, or owns the root or a directory above it.
    Children,
    /// Every user can enter the directories above it.
    Everyone,
    /// Only some users can enter the directories above it.
    Some,
}

/// Returns who can use the root at `path`, where `common` is the children's common user.
pub(crate) fn reach(path: &Path, writable: bool, common: u32) -> Reach {
    if writable {
        return Reach::Children;
    }
    let mut reach = Reach::Everyone;
    for (depth, place) in path.ancestors().enumerate() {
        let Ok(found) = place.symlink_metadata() else {
            return Reach::Some;
        };
        if found.uid() == common {
            return Reach::Children;
        }
        if depth > 0 && found.mode() & 0o001 == 0 {
            reach = Reach::Some;
        }
    }
    reach
}

/// Returns whether `rules` have a root of the children's common user.
pub(crate) fn has_childrens(rules: &FsRules, common: u32) -> bool {
    let read = rules.read.iter().map(|root| (root, false));
    let write = rules.write.iter().map(|root| (root, true));
    let mut all = read.chain(write);
    all.any(|(root, writable)| reach(&root.real, writable, common) == Reach::Children)
}

//! Roots of a grant that the children's user cannot use.
//!
//! They are found when the grant is loaded, where the operator sees them, instead of by
//! the first child that fails.

use std::path::Path;

use rustix::fs::{StatVfsMountFlags, statvfs};

use super::permissions::{READ, SEARCH, WRITE, permits};
use crate::confinement::FsRoot;
use crate::launch::Identity;

/// Returns what keeps `identity` from writing to a write root, and what to do about it;
/// `None` if nothing does.
pub(in crate::grant) fn unwritable(root: &FsRoot, identity: Identity) -> Option<String> {
    let shown = format!("write root {}", root.written.display());
    let metadata = root.real.metadata().ok()?;
    let is_on_disk = metadata.is_dir() || metadata.is_file();
    let flags = statvfs(&root.real).map(|found| found.f_flag);
    if is_on_disk && flags.is_ok_and(|flags| flags.contains(StatVfsMountFlags::RDONLY)) {
        return Some(format!(
            "{shown}: its file system is read-only: mount it writable, or choose another folder"
        ));
    }
    let user = user_of_children(identity);
    // An unprivileged host cannot run children as another user.
    let or_another = match identity.is_own() {
        true => "",
        false => ", or run children as another user (--run-as)",
    };
    if let Some(folder) = closed_ancestor(&root.real, identity) {
        let folder = folder.display();
        return Some(format!(
            "{shown}: {user} cannot search {folder}: chmod it{or_another}"
        ));
    }
    let bits = match metadata.is_dir() {
        true => WRITE | SEARCH,
        false => WRITE,
    };
    (!permits(identity, &root.real, &metadata, bits))
        .then(|| format!("{shown}: {user} cannot write it: chown it{or_another}"))
}

/// Returns what keeps `identity` from using a read root; `None` if nothing does.
pub(in crate::grant) fn unreadable(root: &FsRoot, identity: Identity) -> Option<String> {
    let shown = format!("read root {}", root.written.display());
    let user = user_of_children(identity);
    let metadata = root.real.metadata().ok()?;
    if let Some(folder) = closed_ancestor(&root.real, identity) {
        let folder = folder.display();
        return Some(format!("{shown}: {user} cannot search {folder}"));
    }
    let (bits, verb) = match metadata.is_dir() {
        true => (SEARCH, "search"),
        false => (READ, "read"),
    };
    (!permits(identity, &root.real, &metadata, bits))
        .then(|| format!("{shown}: {user} cannot {verb} it"))
}

pub(super) fn user_of_children(identity: Identity) -> String {
    format!("the user that children run as ({identity})")
}

/// Returns the highest directory above `path` that `identity` cannot search.
pub(super) fn closed_ancestor(path: &Path, identity: Identity) -> Option<&Path> {
    let is_closed = |folder: &&Path| {
        let metadata = folder.metadata();
        metadata.is_ok_and(|found| !permits(identity, folder, &found, SEARCH))
    };
    let above = path.ancestors().skip(1);
    above.filter(is_closed).last()
}

#[cfg(test)]
mod tests;

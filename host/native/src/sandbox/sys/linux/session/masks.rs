//! The masked paths of a session: what a grant denies within its roots.
//!
//! A denied path is resolved for each session anew, because the host may have changed what
//! it names since the grant was loaded. What a mask depends on is returned with it: the
//! symbolic links that lead to the denied path, and each name between a root and the path.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use super::path_error::PathError;
use super::roots::{Root, is_in_proc};
use crate::confinement::{FsRules, walk};

/// A path that is covered in the session, so that nothing below it is seen.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Mask {
    pub(super) path: PathBuf,
    /// Whether it lies in a writable root. It must then exist: a child could create it.
    pub(super) writable: bool,
}

/// A denied path, as it resolves now.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Denied {
    /// The symbolic links that were followed.
    links: Vec<PathBuf>,
    /// Where the path leads, whether or not there is a file; in a directory that the host may
    /// not search, the first place that it cannot look at.
    end: PathBuf,
}

/// The masks, and what they depend on.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Masks {
    /// Without those within another mask.
    pub(super) masks: Vec<Mask>,
    /// The names on the host that decide which files the masks cover. If one of them names
    /// another file, or appears, a denied file may no longer be covered.
    pub(super) names: BTreeSet<PathBuf>,
}

/// Resolves the denied paths of `rules`.
///
/// # Errors
///
/// A path that cannot be resolved.
pub(super) fn resolve(rules: &FsRules) -> io::Result<Vec<Denied>> {
    let denied = rules.deny.iter().map(|root| Denied::of(&root.written));
    denied.collect()
}

impl Denied {
    fn of(written: &Path) -> io::Result<Self> {
        let mut links = Vec::new();
        let mut last = PathBuf::from("/");
        let follow = |place: &Path| {
            place.clone_into(&mut last);
            true
        };
        let end = walk(Path::new("/"), written, follow, |link| {
            links.push(link.to_owned())
        });
        let end = match end {
            Ok(end) => end,
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => last,
            // A file is in the way, so there is nothing to hide as long as it stays.
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
                last.join(written.file_name().unwrap_or_default())
            }
            Err(source) => {
                let text = format!(
                    "{}: the denied path cannot be resolved ({source})",
                    written.display()
                );
                return Err(PathError { text, source }.into());
            }
        };
        Ok(Self { links, end })
    }

    pub(super) fn end(&self) -> &Path {
        &self.end
    }
}

/// Returns the masks for what is denied within `roots`.
///
/// # Errors
///
/// A symbolic link in a writable root leads to a denied path: a child could replace the link.
pub(super) fn within(denied: &[Denied], roots: &[Root]) -> io::Result<Masks> {
    let mut masks = Vec::new();
    let mut names = BTreeSet::new();
    for Denied { links, end } in denied {
        for link in links {
            if roots.iter().any(|root| root.writable && root.shows(link)) {
                let hint = "a denied path in a write root must not be a symbolic link: deny the link's target, or narrow the write root";
                let text = format!("{}: {hint}", link.display());
                return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
            }
            let above = link.ancestors().filter(|path| path.parent().is_some());
            names.extend(above.map(Path::to_owned));
        }
        if is_in_proc(end) {
            // The session's own `/proc` has it without a root. What is denied of one process of the host is not in there.
            if !is_of_a_process(end) {
                masks.push(Mask {
                    path: end.clone(),
                    writable: false,
                });
            }
            continue;
        }
        let around = roots.iter().filter(|root| root.shows(end));
        // A child sees the path through each of them, and most of it through the outermost.
        let Some(outermost) = around
            .clone()
            .min_by_key(|root| root.real.as_os_str().len())
        else {
            continue;
        };
        names.extend(between(&outermost.real, end));
        masks.push(Mask {
            path: end.clone(),
            writable: around.clone().any(|root| root.writable),
        });
    }
    masks.sort();
    let mut outer: Vec<Mask> = Vec::new();
    for mask in masks {
        if !outer.iter().any(|other| mask.path.starts_with(&other.path)) {
            outer.push(mask);
        }
    }
    let masks = outer;
    Ok(Masks { masks, names })
}

/// Returns whether a path in `/proc` lies in the folder of a process.
fn is_of_a_process(path: &Path) -> bool {
    let name = path.components().nth(2);
    let name = name.and_then(|name| name.as_os_str().to_str());
    name.is_some_and(|name| name.parse::<u32>().is_ok())
}

/// Returns each path below `root` on the way to `end`, down to the first that does not exist.
fn between(root: &Path, end: &Path) -> Vec<PathBuf> {
    let mut names: Vec<_> = end.ancestors().take_while(|path| *path != root).collect();
    names.reverse();
    let existing = names.iter().take_while(|path| exists(path)).count();
    names.truncate(existing + 1);
    names.into_iter().map(Path::to_owned).collect()
}

/// Returns the directories between a writable root and its masks. A child that could rename
/// one of them could create the masked path anew.
pub(super) fn pins(masks: &[Mask], roots: &[Root]) -> Vec<PathBuf> {
    let is_inside = |path: &Path| {
        let inside = |root: &Root| root.writable && root.shows(path);
        roots.iter().any(inside) && !roots.iter().any(|root| root.real == path)
    };
    let writable = masks.iter().filter(|mask| mask.writable);
    let mut pins: Vec<PathBuf> = writable
        .flat_map(|mask| mask.path.ancestors().skip(1))
        .filter(|path| is_inside(path))
        .map(Path::to_path_buf)
        .collect();
    pins.sort();
    pins.dedup();
    pins
}

fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

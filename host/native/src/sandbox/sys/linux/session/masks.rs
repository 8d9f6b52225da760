//! The masked paths of a session: what a grant denies within its roots.

use std::io;
use std::path::{Path, PathBuf};

use super::roots::Root;
use crate::confinement::{FsRoot, FsRules};

/// A path that is covered in the session, so that nothing below it is seen.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Mask {
    pub(super) path: PathBuf,
    /// Whether it lies in a writable root. It must then exist: a child could create it.
    pub(super) writable: bool,
}

/// Returns the masks for the denied paths of `rules` that lie within `roots`, without those
/// within another mask.
///
/// # Errors
///
/// A denied path in a writable root is a symbolic link: a child could replace the link.
pub(super) fn within(rules: &FsRules, roots: &[Root]) -> io::Result<Vec<Mask>> {
    let mut masks = Vec::new();
    for denied in &rules.deny {
        for path in denied_paths(denied)? {
            let around: Vec<_> = roots
                .iter()
                .filter(|root| path.starts_with(&root.real))
                .collect();
            let writable = around.iter().any(|root| root.writable);
            if writable && path.is_symlink() {
                let hint = "a denied path in a write root must not be a symbolic link: deny the link's target, or narrow the write root";
                let text = format!("{}: {hint}", path.display());
                return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
            }
            if !around.is_empty() && !path.is_symlink() {
                masks.push(Mask { path, writable });
            }
        }
    }
    masks.sort();
    let mut outer: Vec<Mask> = Vec::new();
    for mask in masks {
        if !outer.iter().any(|other| mask.path.starts_with(&other.path)) {
            outer.push(mask);
        }
    }
    Ok(outer)
}

/// Returns the directories between a writable root and its masks. A child that could rename
/// one of them could create the masked path anew.
pub(super) fn pins(masks: &[Mask], roots: &[Root]) -> Vec<PathBuf> {
    let is_inside = |path: &Path| {
        let inside = |root: &Root| root.writable && path.starts_with(&root.real);
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

/// Returns the paths that a denied path stands for: itself, and its target.
fn denied_paths(denied: &FsRoot) -> io::Result<Vec<PathBuf>> {
    let mut paths = vec![resolve_parents(&denied.written)?, denied.real.clone()];
    paths.dedup();
    Ok(paths)
}

/// Returns `path` with its directories resolved as far as they exist, and its last component
/// unresolved.
fn resolve_parents(path: &Path) -> io::Result<PathBuf> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Ok(path.to_path_buf());
    };
    match parent.canonicalize() {
        Ok(parent) => Ok(parent.join(name)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Ok(resolve_parents(parent)?.join(name))
        }
        Err(error) => Err(error),
    }
}

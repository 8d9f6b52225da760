//! Paths of the file system: the roots of a grant, and what a guest's path resolves to.

use std::collections::BTreeSet;
use std::io;
use std::path::{Component, Path, PathBuf};

use rustix::io::Errno;

use crate::confinement::{FsRoot, walk};

/// Resolves a root as a grant writes it, relative to the folder of the grant.
pub(super) fn root(base: &Path, written: &str) -> io::Result<FsRoot> {
    FsRoot::resolve(base.join(written))
}

/// Resolves a denied path as a grant writes it, relative to the folder of the grant. It need not
/// exist.
pub(super) fn denied(base: &Path, written: &str) -> io::Result<FsRoot> {
    let written = base.join(written);
    let real = resolve(Path::new("/"), &written)?;
    Ok(FsRoot { written, real })
}

/// Returns whether a resolved path is denied: at or below one of `denied` as it is written, as it
/// resolved when the grant was loaded, or as `now` resolves it.
pub(super) fn is_denied(
    path: &Path,
    denied: &[FsRoot],
    now: impl Fn(&Path) -> io::Result<PathBuf>,
) -> bool {
    denied.iter().any(|denied| {
        path.starts_with(&denied.real)
            || path.starts_with(&denied.written)
            || now(&denied.written).is_ok_and(|now| path.starts_with(now))
    })
}

/// Returns whether a resolved path is a root or lies below one.
pub(super) fn is_under<'a>(path: &Path, roots: impl IntoIterator<Item = &'a FsRoot>) -> bool {
    roots.into_iter().any(|root| path.starts_with(&root.real))
}

/// Resolves `path` from `cwd`, with every symbolic link followed. A file that does not exist
/// lies below the deepest directory that does.
///
/// For paths that the operator has written, and for one that is open already; those of a request
/// go through [`Lookups`](super::lookups::Lookups).
///
/// # Errors
///
/// A path that the system would not follow either: through a file, up from a directory that
/// does not exist, through too many links, or into a directory that cannot be searched.
pub(super) fn resolve(cwd: &Path, path: &Path) -> io::Result<PathBuf> {
    walk(cwd, path, |_| true, |_| ())
}

/// Returns the places on the ways to `roots`: the directories above them, and the links by which a
/// grant names them. Who knows the roots knows that these exist.
pub(super) fn ways<'a>(roots: impl IntoIterator<Item = &'a FsRoot>) -> BTreeSet<PathBuf> {
    let mut ways = BTreeSet::new();
    for root in roots {
        // No path leads to a root that can no longer be resolved.
        let trail = trail(&root.written).unwrap_or_default();
        for place in trail.iter().chain([&root.real]) {
            ways.extend(place.ancestors().map(Path::to_owned));
        }
    }
    ways
}

/// Returns what an absolute path names if no part of it is a link.
pub(super) fn without_links(path: &Path) -> PathBuf {
    let mut plain = PathBuf::from("/");
    for part in path.components() {
        match part {
            Component::Normal(name) => plain.push(name),
            Component::ParentDir => drop(plain.pop()),
            _ => {}
        }
    }
    plain
}

/// Returns whether the error is a lack of descriptors or memory, whatever the path.
pub(super) fn is_host_exhausted(errno: Errno) -> bool {
    matches!(errno, Errno::MFILE | Errno::NFILE | Errno::NOMEM)
}

/// Returns every place that decides what an absolute path names: each symbolic link on it,
/// and the file itself.
pub(super) fn trail(path: &Path) -> io::Result<Vec<PathBuf>> {
    let mut places = Vec::new();
    let end = walk(
        Path::new("/"),
        path,
        |_| true,
        |link| places.push(link.to_owned()),
    )?;
    places.push(end);
    Ok(places)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    /// A folder with `dir/file`, `out -> /etc`, `in -> dir`, `loop -> loop`,
    /// `dangling -> /etc/absent-x`.
    fn folder() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().canonicalize().expect("it exists");
        fs::create_dir(path.join("dir")).expect("an empty folder");
        fs::write(path.join("dir/file"), "").expect("an empty folder");
        for (target, link) in [
            ("/etc", "out"),
            ("dir", "in"),
            ("loop", "loop"),
            ("/etc/absent-x", "dangling"),
        ] {
            symlink(target, path.join(link)).expect("an empty folder");
        }
        (folder, path)
    }

    #[test]
    fn links_and_dots_are_followed_as_the_system_does() {
        let (_keep, path) = folder();
        let at = |text: &str| resolve(&path, Path::new(text)).expect("it leads somewhere");
        assert_eq!(at("dir/file"), path.join("dir/file"));
        assert_eq!(at("./in/file"), path.join("dir/file"));
        assert_eq!(at("out/passwd"), Path::new("/etc/passwd"));
        assert_eq!(at("dangling"), Path::new("/etc/absent-x"));
        // `..` is the parent of the target, not of the link.
        assert_eq!(at("out/../x"), Path::new("/x"));
        assert_eq!(at("../../../../../../.."), Path::new("/"));
    }

    #[test]
    fn a_missing_file_lies_below_the_deepest_directory_that_exists() {
        let (_keep, path) = folder();
        let at = |text: &str| resolve(&path, Path::new(text));
        assert_eq!(
            at("in/new/file").expect("it could be made"),
            path.join("dir/new/file")
        );
        at("new/../../x").expect_err("there is no up from what does not exist");
        at("dir/file/x").expect_err("a file has no inside");
        at("dir/file/..").expect_err("a file has no inside");
        at("loop").expect_err("it never ends");
    }

    #[test]
    fn a_trail_has_every_link_and_the_end() {
        let (_keep, path) = folder();
        let trail = trail(&path.join("in/file")).expect("it leads somewhere");
        assert!(trail.contains(&path.join("in")) && trail.contains(&path.join("dir/file")));
    }
}

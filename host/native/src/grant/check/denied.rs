//! Roots that are denied, and denied paths that no session could hide.

use std::path::Path;

use crate::confinement::FsRoot;
use crate::grant::paths::{is_under, trail};

/// Returns why children could not open a root, and what to do about it: it lies at or below one
/// of the `denied` paths. `None` if they could.
pub(in crate::grant) fn refused_root(root: &FsRoot, denied: &[FsRoot]) -> Option<String> {
    let denied = denied.iter().find(|denied| is_denied(root, denied))?;
    let (shown, denied) = (root.written.display(), denied.written.display());
    Some(format!(
        "{shown} lies in {denied}, which fs.deny hides: remove one of the two"
    ))
}

/// Returns whether a root lies at or below a denied path, as it is written or resolved.
pub(in crate::grant) fn is_denied(root: &FsRoot, denied: &FsRoot) -> bool {
    let places = trail(&root.written).unwrap_or_default();
    let places = places.iter().chain([&root.written, &root.real]);
    places
        .into_iter()
        .any(|place| place.starts_with(&denied.real) || place.starts_with(&denied.written))
}

/// Returns why a session could not hide a denied path from children that have the roots `write`,
/// and what to do about it; `None` if it could.
pub(in crate::grant) fn unmaskable(denied: &FsRoot, write: &[FsRoot]) -> Option<String> {
    let shown = denied.written.display();
    let around = |place: &Path| write.iter().find(|root| is_under(place, [*root]));
    if let Some(root) = around(&denied.real)
        && denied.real.symlink_metadata().is_err()
    {
        let root = root.written.display();
        return Some(format!(
            "{shown} does not exist, and a child could create it in the write root {root}: create it or narrow the write root"
        ));
    }
    let links = trail(&denied.written).unwrap_or_default();
    let link = links
        .iter()
        .find(|place| place.is_symlink() && around(place).is_some())?;
    let link = link.display();
    Some(format!(
        "{shown}: {link} is a symbolic link in a write root, and a child could replace it: deny the link's target, or narrow the write root"
    ))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::grant::paths;

    #[test]
    fn a_root_is_denied_by_its_name_and_by_what_it_leads_to() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().canonicalize().expect("it exists");
        fs::create_dir_all(path.join("a/b")).expect("an empty folder");
        symlink("a/b", path.join("link")).expect("an empty folder");
        symlink("../link", path.join("a/link")).expect("an empty folder");
        let at = |text: &str| paths::denied(&path, text).expect("it resolves");
        for (root, denied, refused) in [
            ("a/b", "a/b", true),
            ("a/b", "a", true),
            ("a/b", "link", true),
            ("link", "a", true),
            ("link", "link", true),
            // It leads to the folder through a denied folder.
            ("a/link", "a", true),
            ("a", "a/b", false),
            ("a/b", "a/bb", false),
            ("a/b", "absent", false),
        ] {
            let found = refused_root(&at(root), &[at(denied)]);
            assert_eq!(found.is_some(), refused, "{root} {denied}");
        }
    }
}

//! Symbolic links that a child could have made.
//!
//! A root is resolved when the grant is loaded. Where a link on its path lies in a write root,
//! a child of an earlier run may have put it there, and a new run would follow it out.

use std::path::Path;

use crate::confinement::FsRoot;
use crate::grant::paths::{is_under, trail};

/// Returns why a root cannot be used, and what to do about it: its path leads through a link that
/// children with the roots `write` could have made, and out of that root. `None` if it does not.
pub(in crate::grant) fn leads_out(root: &FsRoot, write: &[FsRoot]) -> Option<String> {
    planted(root, write, |inside| !is_under(&root.real, [inside]))
}

/// Returns why a path cannot be denied, and what to do about it: children with the roots `write`
/// could point a link on it elsewhere, and what it denies now would be visible. `None` if they
/// could not.
pub(in crate::grant) fn leads_astray(denied: &FsRoot, write: &[FsRoot]) -> Option<String> {
    planted(denied, write, |_| true)
}

fn planted(root: &FsRoot, write: &[FsRoot], matters: impl Fn(&FsRoot) -> bool) -> Option<String> {
    let places = trail(&root.written).unwrap_or_default();
    let links = places.iter().filter(|place| place.is_symlink());
    let inside = |place: &Path| {
        let mut around = write.iter().filter(|inside| is_under(place, [*inside]));
        around.find(|inside| matters(inside))
    };
    let (link, inside) = links
        .filter_map(|link| Some((link, inside(link)?)))
        .next()?;
    let (shown, link) = (root.written.display(), link.display());
    let (inside, real) = (inside.written.display(), root.real.display());
    Some(format!(
        "{shown}: {link} is a symbolic link in the write root {inside}, and a child could point it anywhere: write {real} instead, or move the link out of the write root"
    ))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_link_in_a_write_root_that_leads_out_of_it_is_not_followed() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().canonicalize().expect("it exists");
        for name in ["ws/own", "out"] {
            fs::create_dir_all(path.join(name)).expect("an empty folder");
        }
        symlink("../out", path.join("ws/vendor")).expect("an empty folder");
        symlink("own", path.join("ws/inner")).expect("an empty folder");
        symlink("ws", path.join("link")).expect("an empty folder");
        let at = |name: &str| FsRoot::resolve(path.join(name)).expect("it exists");
        let out = |name: &str, write: &str| leads_out(&at(name), &[at(write)]);
        let reason = out("ws/vendor", "ws").expect("a child could have made it");
        assert!(reason.contains("ws/vendor is a symbolic link"), "{reason}");
        assert!(out("link/vendor", "ws").is_some());
        assert_eq!(out("ws/inner", "ws"), None);
        assert_eq!(out("link/own", "ws"), None);
        assert_eq!(out("ws/vendor", "ws/own"), None);
        // A denied path must stay denied wherever the link is pointed.
        assert!(leads_astray(&at("ws/inner"), &[at("ws")]).is_some());
        assert_eq!(leads_astray(&at("ws/own"), &[at("ws")]), None);
        assert_eq!(leads_astray(&at("link/own"), &[at("ws")]), None);
    }
}

//! Programs that a child could replace: refused when the grant is loaded.
//!
//! A child that can write what a later spawn executes has escaped the argument rules of
//! its command, and its sandbox if the later command is confined less. Commands for any
//! program are exempt: they may start what a child has written.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::permissions::{anyone_may_replace, may_replace, may_replace_by_mode};
use crate::confinement::{FsRoot, Sandbox};
use crate::grant::paths::{is_under, trail};
use crate::launch::Identity;

/// The children that could replace a program.
#[derive(Debug, Clone)]
pub(in crate::grant) struct Children {
    /// The write roots of all components.
    pub(in crate::grant) write: Arc<[FsRoot]>,
    /// The sandbox that the program's command demands.
    pub(in crate::grant) sandbox: Sandbox,
    /// The user and group that children run as.
    pub(in crate::grant) identity: Identity,
}

/// Returns how a child could replace the program at `path`, and what to do about it;
/// `None` if none could.
///
/// A program below a write root is refused whatever the sandbox. The rest depends on it:
///
/// - `required`: the sandbox keeps children out of everything but the write roots, and
///   only what every user may write is refused.
/// - `best-effort`: the sandbox may be missing, so whatever the children's user may write
///   is refused too: with root as that user, every program.
/// - `none`: a child may write every file of its user anyway, so nothing else is refused.
pub(in crate::grant) fn replaceable(path: &Path, children: &Children) -> Option<String> {
    let shown = path.display();
    let places = match trail(path) {
        Ok(places) => places,
        Err(error) => return Some(format!("{shown}: {error}")),
    };
    let could = |reason: String| Some(format!("{shown} could be replaced by a child: {reason}"));
    if let Some((place, root)) = lies_in(&places, &children.write) {
        let (place, root) = (place.display(), root.written.display());
        return could(format!(
            "{place} lies in the write root {root}: move one of them"
        ));
    }
    if children.sandbox == Sandbox::None {
        return None;
    }
    let end = places.len() - 1;
    for (index, place) in places.iter().enumerate() {
        // A link has no mode of its own: the folder that it lies in decides.
        let first = usize::from(index != end);
        for part in place.ancestors().skip(first) {
            if let Some(reason) = writer(part, children) {
                return could(reason);
            }
        }
    }
    None
}

/// Returns the first of the places that decide what a path names which lies in one of `roots`.
fn lies_in<'a>(places: &'a [PathBuf], roots: &'a [FsRoot]) -> Option<(&'a Path, &'a FsRoot)> {
    places.iter().find_map(|place| {
        let root = roots.iter().find(|root| is_under(place, [*root]))?;
        Some((place.as_path(), root))
    })
}

/// Returns whether who may write everything below `root` could replace the program at `path`.
///
/// # Errors
///
/// The path cannot be resolved.
pub(in crate::grant) fn replaceable_below(path: &Path, root: &FsRoot) -> io::Result<bool> {
    Ok(lies_in(&trail(path)?, std::slice::from_ref(root)).is_some())
}

/// Returns which children may replace what is at `path`: a file, or the names in a folder.
fn writer(path: &Path, children: &Children) -> Option<String> {
    let metadata = path.metadata().ok()?;
    let (shown, identity) = (path.display(), children.identity);
    if anyone_may_replace(&metadata) {
        return Some(format!("every user can write {shown}: chmod o-w it"));
    }
    if children.sandbox == Sandbox::Required {
        return None;
    }
    if may_replace_by_mode(identity, &metadata) {
        return Some(format!(
            "the user that children run as ({identity}) can write {shown}: \
             chown it, run children as another user, or set sandbox = \"required\""
        ));
    }
    may_replace(identity, path, &metadata).then(|| {
        format!(
            "the access control list of {shown} may let the user that children run as \
             ({identity}) write it: remove the list, or set sandbox = \"required\""
        )
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    use super::*;
    use crate::grant::paths::root;

    /// A user who owns nothing here and is in no group of the host.
    const STRANGER: Identity = Identity {
        uid: 54321,
        gid: 54321,
    };

    fn replaceable(path: &Path, write: &[FsRoot], sandbox: Sandbox) -> Option<String> {
        replaceable_by(path, write, sandbox, STRANGER)
    }

    fn replaceable_by(
        path: &Path,
        write: &[FsRoot],
        sandbox: Sandbox,
        identity: Identity,
    ) -> Option<String> {
        let children = Children {
            write: write.into(),
            sandbox,
            identity,
        };
        super::replaceable(path, &children)
    }

    fn chmod(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("it is ours");
    }

    /// A folder that everybody may search, with `tool`.
    fn tool() -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        chmod(folder.path(), 0o755);
        let path = folder.path().join("tool");
        fs::write(&path, "").expect("the folder is ours");
        (folder, path)
    }

    #[test]
    fn a_program_below_a_write_root_could_be_replaced() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().canonicalize().expect("it exists");
        for name in ["bin", "out"] {
            fs::create_dir(path.join(name)).expect("an empty folder");
        }
        fs::write(path.join("bin/tool"), "").expect("the folder is ours");
        symlink(path.join("bin/tool"), path.join("out/link")).expect("the folder is ours");
        let out = [root(&path, "out").expect("it exists")];
        let check = |name: &str| replaceable(&path.join(name), &out, Sandbox::Required);
        assert_eq!(check("bin/tool"), None);
        // The child can write the link, though not its target.
        assert!(check("out/link").is_some());
        let bin = [root(&path, "bin").expect("it exists")];
        assert!(replaceable(&path.join("bin/tool"), &bin, Sandbox::Required).is_some());
    }

    #[test]
    fn a_world_writable_program_could_be_replaced() {
        let (folder, path) = tool();
        chmod(&path, 0o755);
        assert_eq!(replaceable(&path, &[], Sandbox::Required), None);
        chmod(&path, 0o757);
        assert!(replaceable(&path, &[], Sandbox::Required).is_some());
        assert_eq!(replaceable(&path, &[], Sandbox::None), None);
        chmod(&path, 0o755);
        chmod(folder.path(), 0o777);
        assert!(replaceable(&path, &[], Sandbox::Required).is_some());
        // In a sticky folder only owners replace names.
        chmod(folder.path(), 0o1777);
        assert_eq!(replaceable(&path, &[], Sandbox::Required), None);
        assert_eq!(replaceable(&path, &[], Sandbox::BestEffort), None);
    }

    #[test]
    fn permissions_are_those_of_the_children_and_not_of_the_host() {
        let (_keep, path) = tool();
        chmod(&path, 0o575);
        let metadata = path.metadata().expect("it exists");
        let owner = Identity {
            uid: metadata.uid(),
            ..STRANGER
        };
        let member = Identity {
            gid: metadata.gid(),
            ..STRANGER
        };
        let by = |sandbox, identity| replaceable_by(&path, &[], sandbox, identity);
        for sandbox in [Sandbox::Required, Sandbox::None] {
            assert_eq!(by(sandbox, member), None, "{sandbox}");
        }
        assert_eq!(by(Sandbox::BestEffort, STRANGER), None);
        let reason = by(Sandbox::BestEffort, member).expect("the group may write it");
        assert!(reason.contains("54321"), "{reason}");
        assert!(by(Sandbox::BestEffort, owner).is_some());
        chmod(&path, 0o555);
        assert_eq!(by(Sandbox::BestEffort, member), None);
        // The owner may change the mode, and root may write everything.
        assert!(by(Sandbox::BestEffort, owner).is_some());
        let root = Identity { uid: 0, gid: 0 };
        assert!(by(Sandbox::BestEffort, root).is_some());
        assert_eq!(by(Sandbox::Required, root), None);
    }
}

//! Programs that a child could replace: refused when the grant loads.
//!
//! A child that can write what a later spawn executes has escaped its arguments'
//! rules, and the sandbox's as far as the later command is confined less.
//! Commands of any program are not asked: what they start may be what a child wrote.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::process::{getegid, geteuid, getgroups};

use crate::confinement::Sandbox;
use crate::grant::paths::{Root, is_under, trail};

/// Says how a child could replace the program at `path`, if it could: through a
/// write root of any component (`write`), or by its mode.
///
/// Where the sandbox is required it holds children to the write roots, so that
/// files of the host's own user are no danger and only those that everybody may
/// write are refused. Where it may be absent, whatever the host's user may write
/// is refused as well, unless that is root, who may write all. Where there is
/// none, every file of that user is open to the child anyway.
pub(in crate::grant) fn replaceable(
    path: &Path,
    write: &[Root],
    sandbox: Sandbox,
) -> Option<String> {
    let shown = path.display();
    let places = match trail(path) {
        Ok(places) => places,
        Err(error) => return Some(format!("{shown}: {error}")),
    };
    for place in &places {
        if let Some(root) = write.iter().find(|root| is_under(place, [*root])) {
            let (place, root) = (place.display(), root.written.display());
            return Some(format!(
                "{shown} could be replaced: {place} lies in the write root {root}"
            ));
        }
    }
    if sandbox == Sandbox::None {
        return None;
    }
    let end = places.len() - 1;
    for (index, place) in places.iter().enumerate() {
        // A link has no mode of its own: the folder that it lies in decides.
        let first = usize::from(index != end);
        for (depth, part) in place.ancestors().enumerate().skip(first) {
            if is_open_to_write(part, depth > 0, sandbox) {
                let part = part.display();
                return Some(format!(
                    "{shown} could be replaced: {part} is writable by a child"
                ));
            }
        }
    }
    None
}

fn is_open_to_write(path: &Path, is_folder: bool, sandbox: Sandbox) -> bool {
    const EVERYBODY: u32 = 0o002;
    const GROUP: u32 = 0o020;
    const STICKY: u32 = 0o1000;
    let Ok(metadata) = path.metadata() else {
        return false;
    };
    let mode = metadata.mode();
    // In a sticky folder everybody may add names and only owners replace them.
    let sticky = is_folder && mode & STICKY != 0;
    if mode & EVERYBODY != 0 && !sticky {
        return true;
    }
    if sandbox == Sandbox::Required || geteuid().is_root() {
        return false;
    }
    let owned = metadata.uid() == geteuid().as_raw();
    let in_group = || {
        let id = metadata.gid();
        getegid().as_raw() == id
            || getgroups().is_ok_and(|groups| groups.iter().any(|group| group.as_raw() == id))
    };
    owned || (mode & GROUP != 0 && !sticky && in_group())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn what_lies_in_a_write_root_could_be_replaced() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().canonicalize().expect("it exists");
        for name in ["bin", "out"] {
            fs::create_dir(path.join(name)).expect("an empty folder");
        }
        fs::write(path.join("bin/tool"), "").expect("the folder is ours");
        symlink(path.join("bin/tool"), path.join("out/link")).expect("the folder is ours");
        let out = [crate::grant::paths::root(&path, "out").expect("it exists")];
        let check = |name: &str| replaceable(&path.join(name), &out, Sandbox::Required);
        assert_eq!(check("bin/tool"), None);
        // The link is where the child writes, though what it names is not.
        assert!(check("out/link").is_some());
        let bin = [crate::grant::paths::root(&path, "bin").expect("it exists")];
        assert!(replaceable(&path.join("bin/tool"), &bin, Sandbox::Required).is_some());
    }

    #[test]
    fn what_everybody_may_write_could_be_replaced() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("tool");
        fs::write(&path, "").expect("the folder is ours");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("it is ours");
        assert_eq!(replaceable(&path, &[], Sandbox::Required), None);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o757)).expect("it is ours");
        assert!(replaceable(&path, &[], Sandbox::Required).is_some());
        assert_eq!(replaceable(&path, &[], Sandbox::None), None);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("it is ours");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).expect("it is ours");
        assert!(replaceable(&path, &[], Sandbox::Required).is_some());
    }
}

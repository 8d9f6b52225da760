//! What the identity that children run as can never reach, by mode bits.
//!
//! Found at load, where the operator is, instead of by the first child. The bits
//! are judged and not tried: trying takes a process of that identity. What they
//! do not decide alone, a path with an access control list, is not judged.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{StatVfsMountFlags, getxattr_query, statvfs};

use crate::grant::paths::Root;
use crate::launch::Identity;

const READ: u32 = 0o4;
const WRITE: u32 = 0o2;
const SEARCH: u32 = 0o1;

/// Says what keeps `identity` from writing to a write root, and what to do.
pub(in crate::grant) fn unwritable(root: &Root, identity: Identity) -> Option<String> {
    let shown = format!("write root {}", root.written.display());
    let metadata = root.real.metadata().ok()?;
    let is_on_disk = metadata.is_dir() || metadata.is_file();
    let flags = statvfs(&root.real).map(|found| found.f_flag);
    if is_on_disk && flags.is_ok_and(|flags| flags.contains(StatVfsMountFlags::RDONLY)) {
        return Some(format!(
            "{shown}: its file system is read-only: mount it writable, or name another"
        ));
    }
    let whom = format!("{identity}, whom children run as,");
    // The host's own user has nobody else to run as.
    let another = match identity.is_own() {
        true => "",
        false => ", or run as another (--run-as)",
    };
    if let Some(folder) = closed(&root.real, identity) {
        let folder = folder.display();
        return Some(format!(
            "{shown}: {whom} cannot search {folder}: chmod it{another}"
        ));
    }
    let bits = match metadata.is_dir() {
        true => WRITE | SEARCH,
        false => WRITE,
    };
    (!permits(&root.real, &metadata, identity, bits))
        .then(|| format!("{shown}: {whom} cannot write it: chown it{another}"))
}

/// Says what keeps `identity` from a read root.
pub(in crate::grant) fn unreadable(root: &Root, identity: Identity) -> Option<String> {
    let shown = format!("read root {}", root.written.display());
    let whom = format!("{identity}, whom children run as,");
    let metadata = root.real.metadata().ok()?;
    if let Some(folder) = closed(&root.real, identity) {
        return Some(format!(
            "{shown}: {whom} cannot search {}",
            folder.display()
        ));
    }
    let (bits, verb) = match metadata.is_dir() {
        true => (SEARCH, "search"),
        false => (READ, "read"),
    };
    (!permits(&root.real, &metadata, identity, bits))
        .then(|| format!("{shown}: {whom} cannot {verb} it"))
}

/// Returns the highest directory above `path` that `identity` cannot search.
fn closed(path: &Path, identity: Identity) -> Option<&Path> {
    let is_closed = |folder: &&Path| {
        let metadata = folder.metadata();
        metadata.is_ok_and(|found| !permits(folder, &found, identity, SEARCH))
    };
    let above = path.ancestors().skip(1);
    above.filter(is_closed).last()
}

fn permits(path: &Path, metadata: &Metadata, identity: Identity, bits: u32) -> bool {
    let shift = match identity {
        _ if identity.is_root() => return true,
        Identity { uid, .. } if uid == metadata.uid() => 6,
        _ if identity.is_in(metadata.gid()) => 3,
        _ => 0,
    };
    (metadata.mode() >> shift) & bits == bits || has_list(path)
}

/// Whether the path has an access control list, which may say more than the mode.
fn has_list(path: &Path) -> bool {
    getxattr_query(path, "system.posix_acl_access").is_ok()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;

    use super::*;
    use crate::grant::Grants;
    use crate::grant::testing::{echo, open_to_all};

    /// Somebody who owns nothing here, and is not the host.
    const STRANGER: Identity = Identity {
        uid: 54321,
        gid: 54321,
    };

    fn chmod(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("it is ours");
    }

    /// The folder `work/out`, which everybody may write.
    fn folder() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let out = folder.path().join("work/out");
        fs::create_dir_all(&out).expect("an empty folder");
        for path in [folder.path(), &folder.path().join("work"), &out] {
            open_to_all(path);
        }
        let out = out.canonicalize().expect("it exists");
        (folder, out)
    }

    #[test]
    fn a_write_root_is_writable_by_its_own_bits() {
        let (_keep, out) = folder();
        let root = Root::from(&out);
        let metadata = out.metadata().expect("it exists");
        let owner = Identity {
            uid: metadata.uid(),
            gid: 54321,
        };
        let member = Identity {
            uid: 54321,
            gid: metadata.gid(),
        };
        for mode in [0o777, 0o707, 0o077, 0o770, 0o700, 0o070, 0o555, 0o666] {
            chmod(&out, mode);
            let can = |identity| unwritable(&root, identity).is_none();
            assert_eq!(can(STRANGER), mode & 3 == 3, "{mode:o}");
            // The first class that fits decides, though a later one would do.
            assert_eq!(can(member), mode & 0o30 == 0o30, "{mode:o}");
            let is_root = owner.uid == 0;
            assert_eq!(can(owner), is_root || mode & 0o300 == 0o300, "{mode:o}");
            assert!(can(Identity { uid: 0, gid: 0 }), "root writes all");
        }
        chmod(&out, 0o755);
        let reason = unwritable(&root, STRANGER).expect("it is closed");
        let expected = "54321:54321, whom children run as, cannot write it: chown it, or run as another (--run-as)";
        assert_eq!(reason, format!("write root {}: {expected}", out.display()));
    }

    #[test]
    fn a_directory_above_may_close_a_root() {
        let (_keep, out) = folder();
        let root = Root::from(&out);
        let work = out.parent().expect("it lies in one");
        assert_eq!(unwritable(&root, STRANGER), None);
        assert_eq!(unreadable(&root, STRANGER), None);
        chmod(work, 0o776);
        for reason in [unwritable(&root, STRANGER), unreadable(&root, STRANGER)] {
            let reason = reason.expect("it is closed");
            let expected = format!("cannot search {}", work.display());
            assert!(reason.contains(&expected), "{reason}");
        }
        // What lies in it can still be looked up by its name.
        chmod(work, 0o771);
        assert_eq!(unwritable(&root, STRANGER), None);
    }

    #[test]
    fn a_file_is_a_root_that_is_not_searched() {
        let (_keep, out) = folder();
        let file = out.join("file");
        fs::write(&file, "").expect("the folder is ours");
        let root = Root::from(&file);
        chmod(&file, 0o666);
        assert_eq!(unwritable(&root, STRANGER), None);
        assert_eq!(unreadable(&root, STRANGER), None);
        chmod(&file, 0o640);
        assert!(unwritable(&root, STRANGER).is_some());
        let reason = unreadable(&root, STRANGER).expect("it is closed");
        assert!(reason.ends_with("cannot read it"), "{reason}");
    }

    #[test]
    fn a_path_with_an_access_control_list_is_not_judged() {
        let (_keep, out) = folder();
        let root = Root::from(&out);
        chmod(&out, 0o755);
        assert!(unwritable(&root, STRANGER).is_some());
        // Version 2, then tag, rights and id of each entry, little-endian: the
        // user 54321 may do all, which the owner's, group's and others' bits hide.
        let mut list = 2_u32.to_le_bytes().to_vec();
        let nobody = u32::MAX;
        for (tag, rights, id) in [
            (0x01_u16, 7_u16, nobody),
            (0x02, 7, STRANGER.uid),
            (0x04, 5, nobody),
            (0x10, 7, nobody),
            (0x20, 5, nobody),
        ] {
            list.extend(tag.to_le_bytes());
            list.extend(rights.to_le_bytes());
            list.extend(id.to_le_bytes());
        }
        let flags = rustix::fs::XattrFlags::empty();
        match rustix::fs::setxattr(&out, "system.posix_acl_access", &list, flags) {
            Ok(()) => assert_eq!(unwritable(&root, STRANGER), None),
            // This file system has no lists, so that there is nothing to judge.
            Err(error) => assert_eq!(error, rustix::io::Errno::OPNOTSUPP),
        }
    }

    #[test]
    fn a_read_only_file_system_takes_no_writes() {
        // Sysfs-like mounts differ; any read-only one of this machine will do.
        let mounts = fs::read_to_string("/proc/self/mounts").expect("proc is there");
        let read_only = mounts.lines().find_map(|line| {
            let mut fields = line.split(' ').skip(1);
            let (path, options) = (fields.next()?, fields.nth(1)?);
            let is_dir = Path::new(path).is_dir();
            (is_dir && options.split(',').any(|it| it == "ro")).then(|| PathBuf::from(path))
        });
        if let Some(path) = read_only {
            let root = Root::from(path);
            let reason = unwritable(&root, Identity { uid: 0, gid: 0 });
            let reason = reason.expect("it is read-only, for root as well");
            assert!(reason.contains("read-only"), "{reason}");
        }
    }

    /// A grant with that folder's `work/out` as a write root.
    fn write_root() -> (tempfile::TempDir, String) {
        let (folder, _) = folder();
        let command = echo("");
        let text =
            format!("version = 1\n[component.c]\nfs = {{ write = [\"work/out\"] }}\n{command}");
        (folder, text)
    }

    #[test]
    fn a_write_root_that_children_cannot_write_is_refused_with_its_place() {
        let (folder, text) = write_root();
        let file = folder.path().join("g.toml");
        let load = |text: &str, identity| {
            fs::write(&file, text).expect("the folder is ours");
            Grants::load_as(&file, identity)
        };
        load(&text, STRANGER).expect("everybody writes it");
        let out = folder.path().join("work/out");
        fs::set_permissions(&out, fs::Permissions::from_mode(0o755)).expect("it is ours");
        let error = load(&text, STRANGER).expect_err("it is the host's");
        assert_eq!(error.diagnostics().len(), 1, "once: {error}");
        assert_eq!(error.diagnostics()[0].place, Some((3, 17)));
        let message = &error.diagnostics()[0].message;
        let expected = "54321:54321, whom children run as, cannot write it";
        assert!(message.contains(expected), "{message}");
        assert!(message.contains("work/out"), "{message}");
        // Two commands, one mistake.
        let twice = format!("{text}{}", echo("args = [\"a\"]"));
        let error = load(&twice, STRANGER).expect_err("it is the host's");
        assert_eq!(error.diagnostics().len(), 1, "once: {error}");
        // Whoever can write it, and who is not confined, may.
        load(&text, Identity { uid: 0, gid: 0 }).expect("root writes all");
        load(&format!("{text}sandbox = \"none\"\n"), STRANGER).expect("nothing confines it");
        load(&format!("{text}decision = \"deny\"\n"), STRANGER).expect("nothing starts");
        load(&format!("{text}sandbox = \"best-effort\"\n"), STRANGER)
            .expect_err("it may be confined");
    }

    #[test]
    fn a_read_root_that_children_cannot_search_is_told() {
        let (folder, text) = write_root();
        let text = text.replace("write", "read");
        let file = folder.path().join("g.toml");
        fs::write(&file, &text).expect("the folder is ours");
        let advice = || {
            let grants = Grants::load_as(&file, STRANGER).expect("it is no error");
            grants.component("c").advice().to_vec()
        };
        assert!(advice().is_empty(), "{:?}", advice());
        let work = folder.path().join("work");
        fs::set_permissions(&work, fs::Permissions::from_mode(0o770)).expect("it is ours");
        let lines = advice();
        assert_eq!(lines.len(), 1, "{lines:?}");
        let expected = format!("cannot search {}", work.display());
        assert!(lines[0].contains(&expected), "{lines:?}");
    }
}

//! What the children's user may do to a file, judged by the file's mode.
//!
//! The mode is read, and no access is attempted: that would need a process of that
//! user, and a grant is loaded before there is one.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::getxattr_query;

use crate::launch::Identity;

pub(super) const READ: u32 = 0o4;
pub(super) const WRITE: u32 = 0o2;
pub(super) const SEARCH: u32 = 0o1;

const USER_CLASS: u32 = 6;
const GROUP_CLASS: u32 = 3;
const OTHER_CLASS: u32 = 0;

const STICKY: u32 = 0o1000;

/// Returns whether `identity` may access the file at `path` in every way in `bits`, a
/// sum of [`READ`], [`WRITE`] and [`SEARCH`].
///
/// A file with an access control list is given the benefit of the doubt: the answer is
/// yes if some entry of the list could allow the access.
pub(super) fn permits(identity: Identity, path: &Path, metadata: &Metadata, bits: u32) -> bool {
    let allows = |class: u32| (metadata.mode() >> class) & bits == bits;
    if permits_by_mode(identity, metadata, bits) {
        return true;
    }
    if identity.uid == metadata.uid() {
        return false;
    }
    // With a list the group class is its mask, the most that an entry can allow.
    has_acl(path) && (allows(GROUP_CLASS) || allows(OTHER_CLASS))
}

/// Returns whether the mode lets `identity` access a file in every way in `bits`.
fn permits_by_mode(identity: Identity, metadata: &Metadata, bits: u32) -> bool {
    if identity.is_root() {
        return true;
    }
    // As in path_resolution(7), the first class that fits decides.
    let class = if identity.uid == metadata.uid() {
        USER_CLASS
    } else if identity.is_in(metadata.gid()) {
        GROUP_CLASS
    } else {
        OTHER_CLASS
    };
    (metadata.mode() >> class) & bits == bits
}

/// Returns whether `identity` may replace what is at `path`: write the file, or rename
/// what is in the folder. An owner may, since it can always change the mode.
pub(super) fn may_replace(identity: Identity, path: &Path, metadata: &Metadata) -> bool {
    may_replace_by_mode(identity, metadata)
        || (!is_sticky(metadata) && permits(identity, path, metadata, WRITE))
}

/// Returns whether owner and mode alone let `identity` replace what has this metadata.
pub(super) fn may_replace_by_mode(identity: Identity, metadata: &Metadata) -> bool {
    let owns = identity.uid == metadata.uid();
    owns || (!is_sticky(metadata) && permits_by_mode(identity, metadata, WRITE))
}

/// Returns whether every user may replace what has this metadata.
pub(super) fn anyone_may_replace(metadata: &Metadata) -> bool {
    (metadata.mode() >> OTHER_CLASS) & WRITE != 0 && !is_sticky(metadata)
}

/// Returns whether everybody may add names to a folder and only owners may replace them.
fn is_sticky(metadata: &Metadata) -> bool {
    metadata.is_dir() && metadata.mode() & STICKY != 0
}

/// Returns whether the file has an access control list, which can allow more than the
/// class of the mode that fits.
fn has_acl(path: &Path) -> bool {
    getxattr_query(path, "system.posix_acl_access").is_ok()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const STRANGER: Identity = Identity {
        uid: 54321,
        gid: 54321,
    };

    #[test]
    fn the_first_class_that_fits_decides() {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        let judge = |mode, identity: Identity, bits| {
            let mode = fs::Permissions::from_mode(mode);
            fs::set_permissions(file.path(), mode).expect("it is ours");
            let metadata = file.path().metadata().expect("it exists");
            permits(identity, file.path(), &metadata, bits)
        };
        let gid = file.path().metadata().expect("it exists").gid();
        let member = Identity { uid: 54321, gid };
        assert!(judge(0o640, member, READ));
        assert!(!judge(0o640, member, WRITE));
        assert!(!judge(0o640, STRANGER, READ));
        // The group has less than the others, and a member has what the group has.
        assert!(judge(0o604, STRANGER, READ));
        assert!(!judge(0o604, member, READ));
        assert!(!judge(0o602, STRANGER, READ | WRITE));
        assert!(judge(0o000, Identity { uid: 0, gid: 0 }, READ | WRITE));
    }

    #[test]
    fn an_owner_may_replace_a_file_that_is_read_only() {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        let mode = fs::Permissions::from_mode(0o444);
        fs::set_permissions(file.path(), mode).expect("it is ours");
        let metadata = file.path().metadata().expect("it exists");
        let owner = Identity {
            uid: metadata.uid(),
            ..STRANGER
        };
        assert!(may_replace(owner, file.path(), &metadata));
        assert!(!may_replace(STRANGER, file.path(), &metadata));
    }
}

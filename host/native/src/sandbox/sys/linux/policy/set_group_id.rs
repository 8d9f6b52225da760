//! Whether children may set the set-group-ID bit on what a group can execute.
//!
//! The problem: on a directory the bit is harmless and common (`cp -a`, `tar xp`, `git init
//! --shared`). On a program it gives the file's group to every user who can execute it. A filter
//! sees the mode, and not what it is for.
//!
//! The way chosen: the bit is denied together with the group's right to execute, unless the group
//! gives nothing or nobody else reaches the files. The group gives nothing where children have the
//! group `nogroup`, to which a machine gives no rights, and no other: under a root host, or one that
//! runs as that user. In a
//! session nobody else reaches the files if each write root lies in a directory that other users
//! cannot search and children cannot change, such as a home directory of mode 0700.
//!
//! Rejected: to let a process outside the filter look at the file (`SECCOMP_RET_USER_NOTIF`).
//! That process would have to read the path from the child's memory, which Yama and Landlock allow
//! to none of the session's processes, and outside a session there is no such process. Rejected
//! too: to ignore the bit and report success, because the program would go on with a mode that
//! its file does not have.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::getxattr_query;

use crate::confinement::FsRules;
use crate::launch::Identity;

/// Whether a filter allows the set-group-ID bit together with the group's right to execute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SetGroupId {
    /// A program with the bit would give its group to other users.
    Denied,
    /// Such a program gives nothing, or nobody else reaches it.
    Allowed,
}

impl SetGroupId {
    /// Returns the rule for children that run as `user`, outside a session. `becomes` is whether
    /// the host changes to that user for them: they then have no group but its own.
    pub(crate) fn of(user: Identity, becomes: bool) -> Self {
        let is_only_group = || becomes || has_only(user.gid);
        match user.gid == Identity::NOBODY.gid && is_only_group() {
            true => Self::Allowed,
            false => Self::Denied,
        }
    }

    /// Returns the rule for the children of a session with the files of `rules`.
    pub(crate) fn in_session(user: Identity, becomes: bool, rules: &FsRules) -> Self {
        let mut written = rules.write.iter().map(|root| &root.real);
        match written.all(|root| is_closed(root, user.gid, rules)) {
            true => Self::Allowed,
            false => Self::of(user, becomes),
        }
    }
}

/// Returns whether a directory above `root` keeps everybody out but its user and the group `gid`,
/// and children cannot change it.
fn is_closed(root: &Path, gid: u32, rules: &FsRules) -> bool {
    const GROUP_SEARCHES: u32 = 0o010;
    const OTHERS_SEARCH: u32 = 0o001;
    let is_written = |path: &Path| {
        let mut written = rules.write.iter();
        written.any(|root| path.starts_with(&root.real))
    };
    root.ancestors().skip(1).any(|folder| {
        let Ok(found) = folder.symlink_metadata() else {
            return false;
        };
        let closed = match found.gid() == gid {
            true => OTHERS_SEARCH,
            false => GROUP_SEARCHES | OTHERS_SEARCH,
        };
        // With an access control list the group's bits are the most that one of its entries gives.
        found.mode() & closed == 0 && !has_acl(folder) && !is_written(folder)
    })
}

/// Returns whether this process has no group but `gid`.
fn has_only(gid: u32) -> bool {
    let groups = rustix::process::getgroups();
    groups.is_ok_and(|groups| groups.iter().all(|group| group.as_raw() == gid))
}

fn has_acl(folder: &Path) -> bool {
    let names = ["system.posix_acl_access", "system.nfs4_acl"];
    let mut names = names.into_iter();
    names.any(|name| getxattr_query(folder, name).is_ok())
}

#[cfg(test)]
mod tests {
    use std::fs::{Permissions, create_dir, set_permissions};
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::PathBuf;

    use super::SetGroupId::{Allowed, Denied};
    use super::*;

    const SOMEBODY: Identity = Identity {
        uid: 1000,
        gid: 100,
    };

    fn write(roots: &[PathBuf]) -> FsRules {
        FsRules {
            write: roots.iter().map(|root| root.into()).collect(),
            ..FsRules::default()
        }
    }

    #[test]
    fn the_group_of_nobody_gives_nothing_where_it_is_the_only_one() {
        let elsewhere = Identity {
            gid: Identity::NOBODY.gid,
            ..SOMEBODY
        };
        for (user, becomes, expected) in [
            (Identity::NOBODY, true, Allowed),
            (elsewhere, true, Allowed),
            (SOMEBODY, true, Denied),
            (SOMEBODY, false, Denied),
        ] {
            assert_eq!(SetGroupId::of(user, becomes), expected, "{user} {becomes}");
        }
        // A host that has no other group; this process may.
        let own = rustix::process::getgroups().expect("it has some");
        let only = own
            .iter()
            .all(|group| group.as_raw() == Identity::NOBODY.gid);
        let expected = if only { Allowed } else { Denied };
        assert_eq!(SetGroupId::of(Identity::NOBODY, false), expected, "{own:?}");
    }

    #[test]
    fn in_a_session_a_closed_directory_above_every_write_root_allows_the_bit() {
        let folder = tempfile::tempdir().expect("the test may write /tmp");
        let home = folder.path().join("home");
        let root = home.join("ws/root");
        std::fs::create_dir_all(&root).expect("the test may write the folder");
        let open = folder.path().join("open");
        create_dir(&open).expect("the test may write the folder");
        set_permissions(folder.path(), Permissions::from_mode(0o755)).expect("it is the test's");
        let own_gid = Identity {
            gid: home.symlink_metadata().expect("it exists").gid(),
            ..SOMEBODY
        };
        let decide = |user, mode, rules: &FsRules| {
            set_permissions(&home, Permissions::from_mode(mode)).expect("it is the test's");
            SetGroupId::in_session(user, false, rules)
        };
        let one = write(std::slice::from_ref(&root));
        for (user, mode, expected) in [
            (SOMEBODY, 0o700, Allowed),
            (SOMEBODY, 0o755, Denied),
            (SOMEBODY, 0o711, Denied),
            (SOMEBODY, 0o740, Allowed),
            // Of another group, whose members would gain the children's.
            (SOMEBODY, 0o750, Denied),
            (own_gid, 0o750, Allowed),
            (own_gid, 0o751, Denied),
        ] {
            assert_eq!(decide(user, mode, &one), expected, "{user} {mode:o}");
        }
        let both = write(&[root.clone(), open]);
        assert_eq!(decide(SOMEBODY, 0o700, &both), Denied, "one is open");
        // A child could open a directory in a write root.
        let nested = write(&[root, home.clone()]);
        assert_eq!(decide(SOMEBODY, 0o700, &nested), Denied, "it is written to");
        let none = write(&[]);
        assert_eq!(decide(SOMEBODY, 0o755, &none), Allowed, "no write root");
    }
}

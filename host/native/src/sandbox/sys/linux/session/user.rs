//! The user as which a session runs.

use std::io;
use std::sync::Arc;

use super::foundation::Foundation;
use super::instance::session_ended;
use super::owner_mounts::OwnerMounts;
use super::roots::Root;
use crate::confinement::FsRules;
use crate::launch::{Identity, LaunchError, Stage, is_shortage};
use crate::sandbox::sys::linux::owners::{Lease, Owners};
use crate::sandbox::sys::linux::spawner::Spawner;

/// The user of a session's processes, and the mounts that show its files as that user's.
#[derive(Debug)]
pub(super) struct SessionUser {
    /// The user and the group, as the kernel counts them.
    pub(super) identity: Identity,
    /// The number by which the session's processes see the user.
    pub(super) inner_uid: u32,
    /// Whether the processes have to change to the user.
    pub(super) becomes: bool,
    pub(super) mounts: OwnerMounts,
    /// Holds the id until no process uses it any more. None for the user that all owners share.
    pub(super) lease: Option<Arc<Lease>>,
}

impl SessionUser {
    /// Returns the user that the children of all owners have in common.
    fn common(spawner: &Spawner) -> Self {
        let (identity, becomes) = spawner.user();
        Self {
            identity,
            inner_uid: identity.uid,
            becomes,
            mounts: OwnerMounts::default(),
            lease: None,
        }
    }

    /// Returns the user of a session with the files of `roots`: that of `lease`, or
    /// the common one where a root cannot be shown as the owner's.
    ///
    /// # Errors
    ///
    /// The host is short of a resource.
    pub(super) fn choose(
        spawner: &Spawner,
        lease: Option<Arc<Lease>>,
        roots: &[Root],
    ) -> Result<Self, LaunchError> {
        let common = Self::common(spawner);
        let Some(lease) = lease else {
            return Ok(common);
        };
        let uid = lease.uid();
        match OwnerMounts::make(spawner, roots, common.identity.uid, uid) {
            Ok(mounts) => Ok(Self {
                identity: Identity {
                    uid,
                    ..common.identity
                },
                mounts,
                lease: Some(lease),
                ..common
            }),
            // The process that makes the map was killed: that is retried as for the session's other processes.
            Err(source) if source.kind() == io::ErrorKind::UnexpectedEof => Err(session_ended()),
            Err(source) if is_transient(&source) => Err(LaunchError::new(Stage::Root, source)),
            Err(error) => {
                let user = common.identity;
                tracing::warn!(
                    %error,
                    "children run as {user}, which other owners share: put the root on a file system with idmapped mounts"
                );
                Ok(common)
            }
        }
    }
}

/// Returns whether a session with the files of `rules` can run as its owner's user.
///
/// # Errors
///
/// The host is short of a resource that finding out takes.
pub(crate) fn can_be_owners(
    spawner: &Spawner,
    owners: &Owners,
    rules: &FsRules,
) -> io::Result<bool> {
    let (common, _) = spawner.user();
    let any = *owners.uids().ids().start();
    let made = Foundation::new(rules)
        .and_then(|foundation| OwnerMounts::make(spawner, foundation.roots(), common.uid, any));
    match made {
        Err(error) if is_transient(&error) => Err(error),
        made => Ok(made.is_ok()),
    }
}

fn is_transient(error: &io::Error) -> bool {
    // `ENOSPC`: too many user namespaces, or mounts. A read that its timeout has ended is `EAGAIN`. A process that
    // has ended before it sent anything was killed.
    let others = [io::ErrorKind::StorageFull, io::ErrorKind::UnexpectedEof];
    is_shortage(error) || others.contains(&error.kind())
}

#[cfg(test)]
mod tests {
    use rustix::io::Errno;

    use super::*;
    use crate::sandbox::sys::linux::session::path_error::PathError;

    #[test]
    fn a_shortage_is_no_property_of_the_file_system() {
        let of = |errno: Errno| {
            let error = PathError {
                text: "/root: no".into(),
                source: errno.into(),
            };
            is_transient(&error.into())
        };
        for short in [
            Errno::MFILE,
            Errno::NFILE,
            Errno::NOMEM,
            Errno::AGAIN,
            Errno::NOSPC,
        ] {
            assert!(of(short), "{short:?}");
        }
        for lasting in [Errno::INVAL, Errno::PERM, Errno::NOSYS] {
            assert!(!of(lasting), "{lasting:?}");
        }
    }
}

//! A guest's temporary directory.

use std::fs::{Permissions, set_permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::base::{Base, is_directory};
use super::name::random_name;

/// A directory, removed when the value is dropped.
#[derive(Debug)]
pub(crate) struct GuestTmp {
    path: PathBuf,
    base: Arc<Base>,
}

impl GuestTmp {
    /// Makes a directory in `base` for children whose group is `group`, or whose user is the
    /// host's own. Children of other guests may have that group: Landlock keeps them out, and
    /// they do not know the name.
    pub(super) fn make(base: &Arc<Base>, group: Option<u32>) -> io::Result<Self> {
        let path = base.path.join(random_name()?);
        std::fs::DirBuilder::new().mode(0o700).create(&path)?;
        let made = Self {
            path,
            base: Arc::clone(base),
        };
        let mode = match group {
            None => 0o700,
            Some(group) => {
                chown(&made.path, None, Some(group))?;
                0o770
            }
        };
        // Whatever the host's umask is.
        set_permissions(&made.path, Permissions::from_mode(mode))?;
        Ok(made)
    }

    /// Returns its absolute path, which has no symbolic link.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn exists(&self) -> bool {
        is_directory(&self.path)
    }
}

impl Drop for GuestTmp {
    fn drop(&mut self) {
        self.base.remove(std::mem::take(&mut self.path));
    }
}

//! Temporary folders that every user can enter.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use tempfile::TempDir;

/// Creates a folder in `/tmp` that every user may write. Dropping the returned value
/// removes it.
///
/// Children of a host that runs as root run as a different user from the test.
///
/// # Panics
///
/// `/tmp` is not writable.
#[must_use]
pub fn scratch() -> TempDir {
    scratch_in("/tmp")
}

/// The same in another folder than `/tmp`, for which a session has its own.
///
/// # Panics
///
/// `parent` is not writable.
#[must_use]
pub fn scratch_in(parent: impl AsRef<Path>) -> TempDir {
    let folder = tempfile::tempdir_in(parent).expect("the parent folder is writable");
    open_to_all(folder.path());
    folder
}

/// Sets the mode of `path` to 0777.
///
/// # Panics
///
/// The test does not own `path`.
pub fn open_to_all(path: impl AsRef<Path>) {
    let everything = Permissions::from_mode(0o777);
    fs::set_permissions(path, everything).expect("the test owns the file");
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    #[test]
    fn every_user_may_write_a_scratch_folder_until_it_is_dropped() {
        let folder = scratch();
        let path = folder.path().to_owned();
        let mode = fs::metadata(&path).expect("it exists").mode();
        assert_eq!(mode & 0o7777, 0o777);
        drop(folder);
        assert!(!path.exists());
    }
}

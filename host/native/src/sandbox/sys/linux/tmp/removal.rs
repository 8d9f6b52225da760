//! Removes a directory that children have filled.

use std::fs::{Permissions, read_dir, remove_dir_all, set_permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// Removes the directory at `path` with all that is in it. Follows no symbolic link.
pub(super) fn remove(path: &Path) {
    let removed = match remove_dir_all(path) {
        // A child may have taken the rights to a directory from its own user, which is the host's.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            open_directories(path);
            remove_dir_all(path)
        }
        removed => removed,
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            let path = path.display();
            tracing::warn!(%path, %error, "a temporary directory is left");
        }
        _ => {}
    }
}

/// Gives the user all rights to each directory below `path`. No child is left that could put a
/// symbolic link in a directory's place.
fn open_directories(path: &Path) {
    let mut all: Vec<PathBuf> = vec![path.to_owned()];
    while let Some(next) = all.pop() {
        let _ = set_permissions(&next, Permissions::from_mode(0o700));
        let Ok(entries) = read_dir(&next) else {
            continue;
        };
        let entries = entries.flatten();
        let directories =
            entries.filter(|entry| entry.file_type().is_ok_and(|found| found.is_dir()));
        all.extend(directories.map(|entry| entry.path()));
    }
}

//! The roots that a session mounts.

use std::io;
use std::path::{Path, PathBuf};

use super::path_error::PathError;
use crate::confinement::FsRules;

/// The file systems of the session's own, which lie on top of what a root above them has
/// there.
const OWN: [&str; 3] = ["/dev", "/proc", "/tmp"];

/// What every session has of its own, in place of the host's. (A bind mount of the
/// host's devices would not allow them to be opened.)
const OWN_DEVICES: [&str; 8] = [
    "/dev",
    "/dev/full",
    "/dev/null",
    "/dev/ptmx",
    "/dev/random",
    "/dev/tty",
    "/dev/urandom",
    "/dev/zero",
];

/// The directories of terminals and of message queues, of which every session has its own.
const OWN_DEVICE_FOLDERS: [&str; 2] = ["/dev/pts", "/dev/mqueue"];

/// A granted path: as the grant names it, and resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Root {
    pub(super) written: PathBuf,
    pub(super) real: PathBuf,
    pub(super) writable: bool,
}

impl Root {
    /// Returns whether another of the `roots` shows all of this one with the same rights or
    /// more; of equal roots the first is kept.
    pub(super) fn is_covered(&self, roots: &[Self]) -> bool {
        let position = |wanted: &Self| roots.iter().position(|it| std::ptr::eq(it, wanted));
        roots.iter().any(|other| {
            let more = other.writable || !self.writable;
            let first = position(other) < position(self);
            let equal = other.real == self.real && other.writable == self.writable;
            more && other.shows(&self.real) && if equal { first } else { true }
        })
    }

    /// Returns whether a child finds at `path` what this root has there: the session's own
    /// `/tmp` lies on top of what the root `/` has there, and not on top of the root `/tmp`.
    pub(super) fn shows(&self, path: &Path) -> bool {
        let is_between = |own: &&str| {
            let own = Path::new(own);
            path.starts_with(own) && own.starts_with(&self.real) && own != self.real
        };
        path.starts_with(&self.real) && !self.is_own_device() && !OWN.iter().any(is_between)
    }

    /// Returns whether every session has this of its own.
    pub(super) fn is_own_device(&self) -> bool {
        let mut folders = OWN_DEVICE_FOLDERS.iter();
        OWN_DEVICES.iter().any(|own| self.real == Path::new(own))
            || folders.any(|own| self.real.starts_with(own))
    }
}

/// Returns whether a resolved path is in `/proc`, of which every session has its own: the host's would show the host's
/// processes.
pub(super) fn is_in_proc(path: &Path) -> bool {
    path.starts_with("/proc")
}

/// Returns the roots of `rules` that exist, without those in `/proc`, and those at or below a denied path, of which
/// the resolved ones are `denied`. A write root must exist.
pub(super) fn existing(rules: &FsRules, denied: &[PathBuf]) -> io::Result<Vec<Root>> {
    let mut roots = Vec::new();
    let read = rules.read.iter().map(|root| (root, false));
    let write = rules.write.iter().map(|root| (root, true));
    for (root, writable) in read.chain(write) {
        let is_denied = |path: &Path| denied.iter().any(|denied| path.starts_with(denied));
        if is_denied(&root.real) || is_denied(&root.written) || is_in_proc(&root.real) {
            continue;
        }
        // A symbolic link that was created since the grant was loaded leads elsewhere: it is refused, not followed.
        match root.open() {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound && !writable => continue,
            Err(source) => {
                let text = format!("{}: {source}", root.real.display());
                return Err(PathError { text, source }.into());
            }
        }
        roots.push(Root {
            written: root.written.clone(),
            real: root.real.clone(),
            writable,
        });
    }
    roots.sort_by(|a, b| (&a.real, b.writable).cmp(&(&b.real, a.writable)));
    Ok(roots)
}

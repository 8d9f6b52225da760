//! The roots that a session mounts.

use std::io;
use std::path::PathBuf;

use super::path_error::PathError;
use crate::confinement::FsRules;

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
            more && self.real.starts_with(&other.real) && if equal { first } else { true }
        })
    }
}

/// Returns the roots of `rules` that exist. A write root must exist.
pub(super) fn existing(rules: &FsRules) -> io::Result<Vec<Root>> {
    let mut roots = Vec::new();
    let read = rules.read.iter().map(|root| (root, false));
    let write = rules.write.iter().map(|root| (root, true));
    for (root, writable) in read.chain(write) {
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

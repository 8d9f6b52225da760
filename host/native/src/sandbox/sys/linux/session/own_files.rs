//! The files of a session's own by which programs find `localhost` and the session's host name.
//!
//! The host's `/etc/hosts` does not know the session's host name, and in a network of its own its other names lead
//! nowhere. So a session has its own, also where a root shows the host's. Rejected: no files, and a host name of
//! `localhost`. Without `/etc/hosts` the name is looked up in the DNS, which fails.

use std::path::{Path, PathBuf};

use super::masks::Mask;
use super::roots::Root;
use crate::confinement::Network;

/// A file of the session's own.
#[derive(Debug, Clone, Copy)]
pub(super) struct OwnFile {
    path: &'static str,
    /// Whether it replaces the host's.
    pub(super) replaces: bool,
    pub(super) contents: &'static str,
}

/// The host name is that of [`capspawn_raw::wire::HOST_NAME`].
const FILES: [OwnFile; 3] = [
    OwnFile {
        path: "/etc/hosts",
        replaces: true,
        contents: "127.0.0.1\tlocalhost capspawn\n::1\tlocalhost ip6-localhost ip6-loopback\n",
    },
    OwnFile {
        path: "/etc/hostname",
        replaces: true,
        contents: "capspawn\n",
    },
    // Without it some versions of libc ask the DNS before they read `/etc/hosts`.
    OwnFile {
        path: "/etc/nsswitch.conf",
        replaces: false,
        contents: "passwd: files\ngroup: files\nhosts: files dns\n",
    },
];

/// Returns the files of a session with `network`, `roots` and `masks`, each with the path where it is shown.
pub(super) fn of(network: Network, roots: &[Root], masks: &[Mask]) -> Vec<(PathBuf, OwnFile)> {
    if network == Network::Host {
        return Vec::new();
    }
    let shown = |file: &OwnFile| (file.place(roots), *file);
    let files = FILES.iter().map(shown);
    let is_masked = |path: &Path| masks.iter().any(|mask| path.starts_with(&mask.path));
    // What the grant lets children write stays the host's, and what it denies stays denied.
    let is_kept = |path: &Path| is_writable(path, roots) || is_masked(path);
    files.filter(|(path, _)| !is_kept(path)).collect()
}

/// Returns whether a root is a file that every session with a network of its own has itself.
pub(super) fn replace(network: Network, root: &Root) -> bool {
    let is_own = |file: &OwnFile| {
        let path = Path::new(file.path);
        file.replaces && (root.written == path || root.real == path)
    };
    network != Network::Host && !root.writable && FILES.iter().any(is_own)
}

impl OwnFile {
    /// Returns where the file is mounted: at its path, or where the link leads that a root has at its path.
    fn place(&self, roots: &[Root]) -> PathBuf {
        let path = Path::new(self.path);
        let shows = |path: &Path| roots.iter().any(|root| root.shows(path));
        match path.canonicalize() {
            Ok(real) if shows(path) && shows(&real) => real,
            _ => path.to_owned(),
        }
    }
}

fn is_writable(path: &Path, roots: &[Root]) -> bool {
    let mut roots = roots.iter().filter(|root| root.writable);
    roots.any(|root| root.shows(path))
}

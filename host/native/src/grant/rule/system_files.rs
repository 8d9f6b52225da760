//! The files of the system that a child may read although its grant lists none.

use crate::confinement::FsRoot;

/// What a child may read if `[defaults]` has no `fs.read`.
pub(super) const EVERY_CHILD: [&str; 12] = [
    "/usr",
    "/lib",
    "/lib64",
    "/bin",
    "/sbin",
    "/etc/ssl",
    "/etc/ld.so.cache",
    "/etc/alternatives",
    "/etc/passwd",
    "/etc/group",
    "/etc/nsswitch.conf",
    "/etc/localtime",
];

/// What a child with the host's network may read in addition, whatever the grant lists: without these files it has the
/// network and finds no host by name.
const NETWORK: [&str; 7] = [
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/nsswitch.conf",
    "/etc/host.conf",
    "/etc/gai.conf",
    "/etc/services",
    "/etc/protocols",
];

/// Returns the default read roots, as far as they exist.
pub(super) fn every_child() -> impl Iterator<Item = FsRoot> {
    existing(&EVERY_CHILD)
}

/// Returns the read roots of the host's network, as far as they exist. `/etc/resolv.conf` is often a link: the root is
/// what it leads to, at both paths.
pub(super) fn network() -> impl Iterator<Item = FsRoot> {
    existing(&NETWORK)
}

fn existing(paths: &'static [&str]) -> impl Iterator<Item = FsRoot> {
    paths.iter().filter_map(|path| FsRoot::resolve(path).ok())
}

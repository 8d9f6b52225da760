//! How a child gets into its cgroup.

use std::os::fd::OwnedFd;

/// How a child enters its cgroup.
#[derive(Debug)]
pub(crate) enum Entry {
    /// The child writes `0` to each of these files: version 1, and where the system has no `clone3`.
    Write(Vec<OwnedFd>),
    /// The child is cloned into this directory: version 2.
    Clone(OwnedFd),
}

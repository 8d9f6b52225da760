//! Checks of a grant against the host's files, made when the grant is loaded.

pub(super) mod denied;
pub(super) mod interpreter;
mod permissions;
pub(super) mod planted;
pub(super) mod reachable;
pub(super) mod replaceable;
pub(super) mod unlisted;
pub(super) mod write_roots;

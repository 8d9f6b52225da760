//! Checks of a grant against the host, made when it is loaded.

pub(super) mod interpreter;
pub(super) mod reachable;
pub(super) mod replaceable;

//! Checks of a grant against the host's files, made when the grant is loaded.

pub(super) mod cannot_run;
pub(super) mod dangerous_argument;
pub(super) mod dangerous_variable;
pub(super) mod denied;
pub(super) mod interpreter;
mod names;
mod permissions;
pub(super) mod planted;
pub(super) mod reachable;
pub(super) mod replaceable;
pub(super) mod unlisted;
pub(super) mod unwise;
pub(super) mod write_roots;

pub(super) use names::covers;

//! Temporary directories of guests whose children have no session.
//!
//! The problem: `mktemp`, `git commit` and compilers need a directory for temporary files. A
//! session has a `/tmp` of its own; without one `/tmp` is the host's, in which the files of other
//! users and guests lie.
//!
//! The way chosen: a directory for each guest, in which its children alone may open anything, and
//! the variable `TMPDIR`, by which programs find it. It is removed with the guest and its last
//! child, or, after a host was killed, by the next host. Rejected: to grant the host's `/tmp`,
//! whose files would be open to every guest.

mod base;
mod dirs;
mod guest;
mod name;
mod removal;

pub(crate) use self::dirs::{TmpDirs, VARIABLE};
pub(crate) use self::guest::GuestTmp;

#[cfg(test)]
mod tests;

//! What a component may run: loading grants, deciding on requests, explaining decisions.
//!
//! A guest requests a command by the name that a grant gives it, with arguments,
//! variables, a working directory and standard streams. [`Grant::decide`] returns a
//! complete [`Plan`](crate::launch::Plan) or a refusal. What no rule allows is refused.
//!
//! Argument rules are admission, not a boundary: an allowed program can do whatever its
//! own options let it do, and no rule foresees all of them. The boundary is the sandbox
//! that the plan demands. Two alternatives were rejected: a filter of command strings,
//! which a shell's quoting defeats, and an allow-list of programs alone, which allows
//! everything as soon as one of the programs can start another.
//!
//! Standard input is as powerful as an argument wherever a program interprets it: a shell
//! without arguments runs what it reads. `stdin = false` on a command refuses requests
//! that provide standard input, and the child then reads end of file.
//!
//! A decision depends on the [`Command`](crate::Command) and the file system only: the
//! host's variables are taken, and the programs opened, when the grant is loaded.

mod check;
mod compare;
mod component;
mod decision;
mod explain;
mod file;
mod grants;
mod intersect;
mod lookups;
mod paths;
mod quotas;
mod rule;
mod suggestion;
#[cfg(test)]
mod testing;

pub use crate::launch::Identity;
pub use compare::{Change, Direction};
pub use component::{CommandSummary, Grant};
pub use decision::Decision;
pub use explain::Explanation;
pub use file::diagnostics::{Diagnostic, GrantError};
pub use file::keys::{Absent, Key, KeyTable, keys};
pub use file::schema::schema;
pub use file::units::{bytes as parse_size, duration as parse_duration};
pub use grants::Grants;
pub(crate) use paths::is_denied;
pub use quotas::{Detach, Quotas, Rate};
pub use rule::system_files::every_child as system_files;
pub(crate) use suggestion::escaped_os;

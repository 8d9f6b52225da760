//! What a component may run: loading, deciding, explaining.
//!
//! A guest asks for a command by the name that a grant gives it, with arguments,
//! variables and a working directory; [`Grant::decide`] answers with a complete
//! [`Plan`](crate::launch::Plan) or refuses. What no rule allows is refused.
//!
//! Argument rules are admission, not a boundary: an allowed program can do
//! whatever its own options let it do, and there are always more of those than a
//! rule foresees. What holds is the sandbox that the plan demands. The
//! alternatives were a filter of command strings, which every shell's quoting
//! defeats, and an allow-list of programs alone, which allows anything as soon
//! as one of them can start another.
//!
//! The decision reads the [`Command`](crate::Command) and the file system, and
//! nothing else: the host's variables are taken and the programs opened at load.

mod check;
mod component;
mod decision;
mod explain;
mod file;
mod grants;
mod intersect;
mod paths;
mod quotas;
mod rule;
mod suggestion;
#[cfg(test)]
mod testing;

pub use crate::launch::Identity;
pub use component::{CommandSummary, Grant};
pub use decision::Decision;
pub use explain::Explanation;
pub use file::diagnostics::{Diagnostic, GrantError};
pub use file::schema::schema;
pub use file::units::duration as parse_duration;
pub use grants::Grants;
pub use quotas::{Detach, Quotas, Rate};

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

mod access;
mod any;
mod authority;
mod compile;
mod decision;
mod document;
mod environment;
mod error;
mod explain;
mod fields;
mod grants;
mod identity;
mod interpreter;
mod intersect;
mod layer;
mod matcher;
mod node;
mod pattern;
mod program;
mod quotas;
mod remedy;
mod roots;
mod rule;
mod schema;
mod script;
mod settings;
#[cfg(test)]
mod testing;
mod units;
mod writable;

pub use authority::{CommandSummary, Grant};
pub use decision::Decision;
pub use error::{Diagnostic, GrantError};
pub use explain::Explanation;
pub use grants::Grants;
pub use identity::Identity;
pub use quotas::{Detach, Quotas, Rate};
pub use schema::schema;
pub use units::duration as parse_duration;

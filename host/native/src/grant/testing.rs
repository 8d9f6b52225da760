//! Shared by the tests of grants: grants from a few lines of TOML.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use super::{Decision, Grant, Grants};
use crate::command::Command;
use crate::error::{Denial, SpawnError};
use crate::launch::Plan;

/// Loads `body`, with the version line before it.
pub(super) fn load(body: &str) -> Result<Grants, String> {
    let text = format!("version = 1\n{body}");
    Grants::from_toml_str(&text, Path::new("/")).map_err(|error| error.to_string())
}

/// Returns the grant of component `c` in `body`.
pub(super) fn component(body: &str) -> Arc<Grant> {
    load(body).expect("the grant is sound").component("c")
}

/// Returns the text of a grant that lets `c` run `/bin/echo` as `echo`, with `lines` in the
/// command.
pub(super) fn echo(lines: &str) -> String {
    format!("[[component.c.command]]\nname = \"echo\"\nprogram = \"/bin/echo\"\n{lines}\n")
}

/// Returns a request for `echo`.
pub(super) fn request(args: &[&str]) -> Command {
    Command::new("echo").args(args.iter().copied())
}

/// Returns the plan of a request that must be allowed.
pub(super) fn allowed(grant: &Grant, command: &Command) -> Box<Plan> {
    match grant.decide(command) {
        Ok(Decision::Allow(plan)) => plan,
        other => panic!("{command:?} is not allowed: {other:?}"),
    }
}

/// Returns the denial of a request that must be denied.
pub(super) fn denied(grant: &Grant, command: &Command) -> Denial {
    match grant.decide(command) {
        Err(SpawnError::Denied(denial)) => *denial,
        other => panic!("{command:?} is not denied: {other:?}"),
    }
}

/// Returns the error of a grant that must not load.
pub(super) fn refused(body: &str) -> String {
    match load(body) {
        Err(message) => message,
        Ok(_) => panic!("this grant is not refused:\n{body}"),
    }
}

/// Lets every user search and write a folder: the children of a root host run as nobody,
/// and a temporary folder belongs to the user who made it.
pub(super) fn open_to_all(folder: &Path) {
    fs::set_permissions(folder, fs::Permissions::from_mode(0o777)).expect("it is ours");
}

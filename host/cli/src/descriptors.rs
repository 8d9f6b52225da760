//! The limit on open files of the command itself.
//!
//! The soft limit is often 1024, for programs that still use `select`. The command does not, and each
//! child takes up to five descriptors of it, so the soft limit is raised to the hard one. Children have the
//! limit of their grant (`limits.open-files`), set before they execute.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::output;

/// Raises the soft limit on open files to the hard one. If the system refuses, the command runs under the
/// limit that it has.
pub(crate) fn raise() {
    let limit = getrlimit(Resource::Nofile);
    if limit.current == limit.maximum {
        return;
    }
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        let soft = limit.current.unwrap_or(u64::MAX);
        output::note(&format!(
            "the limit on open files stays {soft}, because it could not be raised: {error}"
        ));
    }
}

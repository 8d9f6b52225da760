//! The file rules of a confinement as JSON.

use std::path::Path;

use capspawn_native::confinement::{FsRoot, FsRules};
use serde_json::{Value, json};

/// Returns the grant's table `fs` as JSON.
pub(crate) fn fs(rules: &FsRules) -> Value {
    json!({
        "read": written(&rules.read),
        "write": written(&rules.write),
        "deny": written(&rules.deny),
    })
}

/// Returns the paths as the grant writes them.
pub(crate) fn written(roots: &[FsRoot]) -> Vec<&Path> {
    roots.iter().map(|root| root.written.as_path()).collect()
}

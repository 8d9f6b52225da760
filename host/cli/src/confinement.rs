//! A confinement in the words of the grant, for people and for JSON.

use std::path::Path;

use capspawn_native::sandbox::{FsRoot, FsRules, Network, Sandbox};
use serde_json::{Value, json};

/// Returns the grant's word for `sandbox`.
pub(crate) fn sandbox(sandbox: Sandbox) -> &'static str {
    match sandbox {
        Sandbox::Required => "required",
        Sandbox::BestEffort => "best-effort",
        Sandbox::None => "none",
    }
}

/// Returns the grant's word for `network`.
pub(crate) fn network(network: Network) -> &'static str {
    match network {
        Network::None => "none",
        Network::Loopback => "loopback",
        Network::Host => "host",
    }
}

/// Returns the grant's table `fs` as JSON.
pub(crate) fn fs(rules: &FsRules) -> Value {
    json!({
        "read": written(&rules.read),
        "write": written(&rules.write),
        "deny": written(&rules.deny),
    })
}

/// Returns the paths as the grant writes them.
fn written(roots: &[FsRoot]) -> Vec<&Path> {
    roots.iter().map(|root| root.written.as_path()).collect()
}

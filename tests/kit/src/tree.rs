//! Process trees that are hard to end, and what is left of one.
//!
//! Each tree prints `ready` once all of it runs. A sandbox keeps a tree
//! together; without one a `setsid` leaves it.

use crate::process::with_variable;

/// A shell script that becomes a tree of processes.
#[derive(Debug, Clone, Copy)]
pub struct Tree {
    /// What a failure calls it.
    pub name: &'static str,
    /// The argument of `sh -c`.
    pub script: &'static str,
    /// Whether the leader runs until somebody ends it.
    pub stays: bool,
}

const fn tree(name: &'static str, script: &'static str) -> Tree {
    Tree {
        name,
        script,
        stays: true,
    }
}

/// One tree of every kind.
pub const TREES: [Tree; 6] = [
    tree("plain child", "echo ready; exec sleep 600"),
    tree(
        "ignores TERM",
        "trap '' TERM HUP INT; (sleep 600; sleep 601) & echo ready; while :; do sleep 602; done",
    ),
    tree(
        "double-fork daemon",
        "( ( exec sleep 600 ) </dev/null >/dev/null 2>&1 & ); echo ready; exec sleep 601",
    ),
    tree(
        "setsid",
        "setsid -f sleep 600; setsid sh -c 'echo ready; exec sleep 601' & wait",
    ),
    Tree {
        stays: false,
        ..tree("holds the pipe", "sleep 600 & echo ready")
    },
    // Every process forks its successor and exits: no process id stays valid
    // long enough to end the tree by it.
    tree(
        "fork storm",
        "hop() { hop & exit 0; }; for i in 1 2 3 4 5 6 7 8; do hop & done; echo ready; sleep 600",
    ),
];

/// The variable by which the processes of a tree are found: they inherit it.
const MARKER: &str = "CAPSPAWN_TEST_TREE";

/// A grant file that confines the command `sh`. Its children carry `marker`;
/// `extra` is added to the component's table.
#[must_use]
pub fn grant_toml(component: &str, marker: &str, extra: &str) -> String {
    format!(
        r#"
        version = 1
        [component.{component}]
        {extra}
        env = {{ set = {{ {MARKER} = "{marker}", PATH = "/usr/bin:/bin" }} }}
        limits = {{ wall = "5min", cpu = "1min" }}
        [[component.{component}.command]]
        name = "sh"
        program = "/bin/sh"
        args = ["-c", "*"]
        interpreter = true
        "#
    )
}

/// The processes that carry `marker`.
///
/// A zombie has no environment and is not among them;
/// [`children`](crate::children) counts it.
///
/// # Panics
///
/// `/proc` is not mounted.
#[must_use]
pub fn processes(marker: &str) -> Vec<u32> {
    with_variable(MARKER, marker)
}

//! The process trees that are hard to end, and what is left of one.
//!
//! Each prints `ready` once all of it runs. The sandbox keeps a tree together;
//! without it a `setsid` leaves.

use std::fs;

/// A script, under which name a failure reports it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tree {
    pub(crate) name: &'static str,
    pub(crate) script: &'static str,
    /// Its leader stays: what is left is there until somebody ends it.
    pub(crate) stays: bool,
}

const fn tree(name: &'static str, script: &'static str) -> Tree {
    Tree {
        name,
        script,
        stays: true,
    }
}

/// Every kind.
pub(crate) const TREES: [Tree; 6] = [
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
    // Every process is another one a moment later: none can be ended by its number.
    tree(
        "fork storm",
        "hop() { hop & exit 0; }; for i in 1 2 3 4 5 6 7 8; do hop & done; echo ready; sleep 600",
    ),
];

/// The variable by which the processes of a tree are found: they inherit it.
const MARKER: &str = "CAPSPAWN_TEST_TREE";

/// A confined grant of `sh`, whose children carry `marker`.
pub(crate) fn grant_toml(component: &str, marker: &str, extra: &str) -> String {
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

/// The processes that carry `marker`. One that is only waited for has no
/// environment any more, and is not among them: [`children`] counts it.
pub(crate) fn processes(marker: &str) -> Vec<u32> {
    let wanted = format!("{MARKER}={marker}");
    let of_process = |entry: fs::DirEntry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let environment = fs::read(entry.path().join("environ")).ok()?;
        let mut variables = environment.split(|byte| *byte == 0);
        variables
            .any(|variable| variable == wanted.as_bytes())
            .then_some(pid)
    };
    let entries = fs::read_dir("/proc").expect("proc is there");
    entries.flatten().filter_map(of_process).collect()
}

/// Open descriptors of this process.
pub(crate) fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd")
        .expect("proc is there")
        .count()
}

/// The children of this process, zombies included.
pub(crate) fn children() -> usize {
    let tasks = fs::read_dir("/proc/self/task").expect("proc is there");
    let of_task = |task: fs::DirEntry| fs::read_to_string(task.path().join("children"));
    let lists = tasks.flatten().filter_map(|task| of_task(task).ok());
    lists.map(|list| list.split_whitespace().count()).sum()
}

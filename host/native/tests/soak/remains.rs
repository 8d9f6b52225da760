//! What a host has open and running, and what ran for it and still does.

use std::fs;
use std::time::{Duration, Instant};

/// Longer than anything here takes on a slow machine, short enough to fail.
const PATIENCE: Duration = Duration::from_secs(60);

/// What this process has.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Remains {
    descriptors: usize,
    /// Zombies included.
    pub(crate) children: usize,
    threads: usize,
}

impl Remains {
    pub(crate) fn now() -> Self {
        let count = |path| fs::read_dir(path).expect("proc is there").count();
        Self {
            descriptors: count("/proc/self/fd"),
            children: children().len(),
            threads: count("/proc/self/task"),
        }
    }

    /// The same, once it has not changed for a while.
    pub(crate) fn settled() -> Self {
        let (mut last, mut same) = (Self::now(), 0);
        eventually("a settled number", || {
            let now = Self::now();
            same = if now == last { same + 1 } else { 0 };
            last = now;
            same > 200
        });
        Self::now()
    }
}

/// What the descriptors and children are, for a person.
fn described() -> Vec<String> {
    let entries = fs::read_dir("/proc/self/fd")
        .into_iter()
        .flatten()
        .flatten();
    let descriptors = entries
        .filter_map(|entry| fs::read_link(entry.path()).ok())
        .map(|link| link.display().to_string());
    let stats = children()
        .into_iter()
        .filter_map(|pid| fs::read_to_string(format!("/proc/{pid}/stat")).ok());
    descriptors.chain(stats).collect()
}

/// The process's children, zombies included. Short of descriptors, none.
pub(crate) fn children() -> Vec<i32> {
    let tasks = fs::read_dir("/proc/self/task").into_iter().flatten();
    let lists = tasks
        .flatten()
        .filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    let numbers = |list: String| -> Vec<i32> {
        let words = list.split_whitespace();
        words.filter_map(|word| word.parse().ok()).collect()
    };
    lists.flat_map(numbers).collect()
}

/// What every long-lived program of this process's children sleeps.
pub(crate) fn marker() -> String {
    format!("1000.{}", std::process::id())
}

/// The processes that have the marker, wherever they moved.
pub(crate) fn survivors() -> Vec<String> {
    let marker = marker();
    let has = |line: &[u8]| {
        line.split(|byte| *byte == 0)
            .any(|word| word == marker.as_bytes())
    };
    let processes = fs::read_dir("/proc").expect("proc is there").flatten();
    processes
        .filter(|entry| fs::read(entry.path().join("cmdline")).is_ok_and(|line| has(&line)))
        .map(|entry| entry.path().display().to_string())
        .collect()
}

/// Waits until `condition` holds, and fails where it does not.
pub(crate) fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(
            Instant::now() < deadline,
            "never came: {what}; {:?}, {:?}",
            described(),
            survivors()
        );
        std::thread::yield_now();
    }
}

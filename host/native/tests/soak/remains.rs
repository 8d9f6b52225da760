//! What a process has open and running, and which of its descendants still run.

use std::fs;

use test_kit::{children, comes_true, descriptors, try_children, with_argument};

/// The resources that this process holds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Remains {
    descriptors: usize,
    /// Zombies included.
    pub(crate) children: usize,
    threads: usize,
}

impl Remains {
    pub(crate) fn now() -> Self {
        let threads = fs::read_dir("/proc/self/task").expect("/proc is mounted");
        Self {
            descriptors: descriptors(),
            children: children().len(),
            threads: threads.count(),
        }
    }

    /// The resources, once 200 readings in a row are equal.
    pub(crate) fn settled() -> Self {
        let (mut last, mut same) = (Self::now(), 0);
        eventually("resources that stay the same", || {
            let now = Self::now();
            same = if now == last { same + 1 } else { 0 };
            last = now;
            same > 200
        });
        Self::now()
    }
}

/// The open files and the state of the children, for the message of a failure.
fn described() -> Vec<String> {
    let entries = fs::read_dir("/proc/self/fd")
        .into_iter()
        .flatten()
        .flatten();
    let descriptors = entries
        .filter_map(|entry| fs::read_link(entry.path()).ok())
        .map(|link| link.display().to_string());
    let stats = try_children()
        .unwrap_or_default()
        .into_iter()
        .filter_map(|pid| fs::read_to_string(format!("/proc/{pid}/stat")).ok());
    descriptors.chain(stats).collect()
}

/// The argument of every long-lived `sleep` among the descendants of this process.
pub(crate) fn marker() -> String {
    format!("1000.{}", std::process::id())
}

/// The descendants of this process that still run, wherever they moved.
pub(crate) fn survivors() -> Vec<u32> {
    with_argument(&marker())
}

/// Waits until `condition` is true. If it does not become true, fails and describes what is left.
#[track_caller]
pub(crate) fn eventually(what: &str, condition: impl FnMut() -> bool) {
    if !comes_true(condition) {
        panic!("no {what}: {:?}, survivors {:?}", described(), survivors());
    }
}

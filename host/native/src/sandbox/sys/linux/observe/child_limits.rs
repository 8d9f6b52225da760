//! Limits that a call is about to exceed. The kernel's answer is not visible, so what it compares is compared here.

use std::fs;
use std::time::{Duration, Instant};

use super::memory;
use crate::launch::Subject;
use crate::limits::Limits;
use crate::status::KillReason;

/// How often tasks are counted at most: reading all of `/proc` takes milliseconds.
const COUNT_EVERY: Duration = Duration::from_millis(25);

/// Returns the limit because of which a child was killed; none for other reasons.
pub(super) fn of(reason: KillReason, limits: &Limits) -> Option<Subject> {
    let (key, value) = match reason {
        KillReason::Timeout => ("limits.wall", time(limits.wall)),
        KillReason::CpuTime => ("limits.cpu", time(limits.cpu?)),
        KillReason::Memory => ("limits.memory", size(limits.memory_bytes?)),
        KillReason::Processes => ("limits.processes", limits.processes?.to_string()),
        KillReason::FileSize => ("limits.file-size", size(limits.file_size_bytes?)),
        KillReason::Output => ("limits.output", size(limits.output_bytes?)),
        _ => return None,
    };
    Some(Subject::Limit { key, value })
}

/// Returns a size as grants write it.
fn size(bytes: u64) -> String {
    let units = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    let unit = units
        .into_iter()
        .find(|(unit, _)| bytes >= *unit && bytes.is_multiple_of(*unit));
    unit.map_or_else(
        || format!("{bytes}B"),
        |(unit, name)| format!("{}{name}", bytes / unit),
    )
}

/// Returns a time as grants write it.
fn time(time: Duration) -> String {
    match time.subsec_millis() {
        0 => format!("{}s", time.as_secs()),
        _ => format!("{}ms", time.as_millis()),
    }
}

/// Returns the limit on descriptors, if the task has all that it may have.
pub(super) fn open_files(task: u32, limits: &Limits) -> Option<Subject> {
    let limit = limits.open_files?;
    // The kernel gives the lowest free number.
    memory::has_descriptor(task, limit.checked_sub(1)?).then(|| Subject::Limit {
        key: "limits.open-files",
        value: limit.to_string(),
    })
}

/// Returns how many bytes of address space a task has that it may write, `mmap(2)` with these arguments included, and the
/// limit on memory if that exceeds it (`RLIMIT_DATA`).
pub(super) fn memory(task: u32, args: [u64; 6]) -> Option<(u64, Option<Subject>)> {
    const PROT_WRITE: u64 = 2;
    const MAP_PRIVATE: u64 = 2;
    let [_, length, protection, flags, ..] = args;
    if protection & PROT_WRITE == 0 || flags & MAP_PRIVATE == 0 {
        return None;
    }
    let limits = fs::read_to_string(format!("/proc/{task}/limits")).ok()?;
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max data size"))?;
    // The word is `unlimited` where there is none.
    let limit: Option<u64> = line.split_whitespace().nth(3)?.parse().ok();
    let status = fs::read_to_string(format!("/proc/{task}/status")).ok()?;
    let used = field(&status, "VmData:")?.checked_mul(1024)?;
    let used = used.saturating_add(length);
    let exceeded = limit
        .filter(|limit| used > *limit)
        .map(|limit| Subject::Limit {
            key: "limits.memory",
            value: size(limit),
        });
    Some((used, exceeded))
}

/// Counts tasks, once there may be too many.
#[derive(Default)]
pub(super) struct TaskCount {
    made: u64,
    last: Option<Instant>,
}

impl TaskCount {
    /// Returns the limit on tasks, if `task` is about to exceed it.
    pub(super) fn exceeded(&mut self, task: u32, limits: &Limits) -> Option<Subject> {
        let limit = limits.processes?;
        self.made += 1;
        // The leader is one.
        let may_be_full = self.made >= limit;
        let is_recent = self.last.is_some_and(|last| last.elapsed() < COUNT_EVERY);
        if !may_be_full || is_recent {
            return None;
        }
        let full = tasks_with(task)? >= limit;
        self.last = Some(Instant::now());
        full.then(|| Subject::Limit {
            key: "limits.processes",
            value: limit.to_string(),
        })
    }
}

/// Returns the number of tasks that count together with `task`: those of its user in its pid namespace.
fn tasks_with(task: u32) -> Option<u64> {
    let namespace = fs::read_link(format!("/proc/{task}/ns/pid")).ok()?;
    let uid = |status: &str| field(status, "Uid:");
    let own = uid(&fs::read_to_string(format!("/proc/{task}/status")).ok()?)?;
    let mut count = 0;
    for entry in fs::read_dir("/proc").ok()?.flatten() {
        let path = entry.path();
        let in_namespace = fs::read_link(path.join("ns/pid")).is_ok_and(|it| it == namespace);
        if !in_namespace {
            continue;
        }
        let Ok(status) = fs::read_to_string(path.join("status")) else {
            continue;
        };
        if uid(&status) == Some(own) {
            count += field(&status, "Threads:").unwrap_or(1);
        }
    }
    Some(count)
}

/// Returns the first number after `name` in a file of lines such as `/proc/PID/status`.
fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

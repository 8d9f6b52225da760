//! What a live guest costs while it has no child: descriptors of the host, processes, and their memory.
//!
//! In tier A these are a session's. The servers that wait for the next child are counted too; after half a minute
//! without a child the guest costs nothing, or two processes and two descriptors if its children have left files.

use std::fs;
use std::thread;
use std::time::Duration;

use crate::forms::{self, Form, nothing, settle, spawn_and_wait};
use crate::report::Report;
use crate::statistics::{Summary, Unit};

const GUESTS: usize = 50;
const REST: Duration = Duration::from_secs(2);

pub(crate) fn measure(form: &Form, report: &mut Report) {
    if !rustix::process::geteuid().is_root() {
        report.not_measured(form.name, "a live guest", "only root can read its memory");
        return;
    }
    let registry = forms::build(form.registry());
    let command = nothing();
    // The grant's open programs are not the guests'.
    let grant = forms::guest(&registry, None).grant().clone();
    let use_once = |count: usize| -> Vec<_> {
        let guests = (0..count).map(|_| registry.guest(grant.clone(), ""));
        let used = guests.inspect(|guest| drop(spawn_and_wait(guest, &command)));
        used.collect()
    };
    // What the first guests of a launcher make for all.
    let first = use_once(3);
    settle(&registry, 0);
    // Until the servers that are not kept have ended, and the spare is started.
    thread::sleep(REST);
    let before = Cost::now();
    let guests = use_once(GUESTS);
    settle(&registry, 0);
    thread::sleep(REST);
    let after = Cost::now();
    let each = |of: fn(&Cost) -> usize| (of(&after) as f64 - of(&before) as f64) / GUESTS as f64;
    let figures = [
        (
            "descriptors of a live guest",
            "2",
            Unit::Descriptors,
            each(|it| it.descriptors),
        ),
        (
            "processes of a live guest",
            "2",
            Unit::Processes,
            each(|it| it.processes),
        ),
        (
            "resident memory of a live guest",
            "100 KiB",
            Unit::Bytes,
            each(|it| it.resident_bytes),
        ),
        (
            "of it memory of its own",
            "none",
            Unit::Bytes,
            each(|it| it.own_bytes),
        ),
    ];
    for (name, target, unit, value) in figures {
        report.single(form, name, target, &Summary::new(unit, vec![value]));
    }
    drop((first, guests));
}

#[derive(Debug, Default)]
struct Cost {
    descriptors: usize,
    processes: usize,
    /// Of the children of this process; pages of the program count for each of them.
    resident_bytes: usize,
    /// The same without pages that processes share.
    own_bytes: usize,
}

impl Cost {
    fn now() -> Self {
        let entries = fs::read_dir("/proc/self/fd").expect("proc is there");
        let mut cost = Self {
            descriptors: entries.count(),
            ..Self::default()
        };
        for pid in test_kit::children() {
            // A process that has ended has none, and another user's cannot be read.
            let Some(memory) = Memory::of(pid) else {
                continue;
            };
            cost.processes += 1;
            cost.resident_bytes += memory.resident_bytes;
            cost.own_bytes += memory.own_bytes;
        }
        cost
    }
}

/// The memory of a process. `statm` would show a count that the kernel keeps by processor, which is
/// off by as many pages as these processes have.
struct Memory {
    resident_bytes: usize,
    own_bytes: usize,
}

impl Memory {
    fn of(pid: u32) -> Option<Self> {
        let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
        let bytes = |name: &str| -> Option<usize> {
            let mut lines = text.lines().filter_map(|line| line.strip_prefix(name));
            let kib = lines.next()?.trim().strip_suffix(" kB")?;
            Some(kib.parse::<usize>().ok()? * 1024)
        };
        Some(Self {
            resident_bytes: bytes("Rss:")?,
            own_bytes: bytes("Anonymous:")?,
        })
    }
}

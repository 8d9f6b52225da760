//! Limits from what was used, with a margin.

use capspawn_native::launch::{Observation, Outcome, Subject};

use super::observe::SeenChild;

/// Limits as a grant writes them: the key and a number of its unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Seconds on the wall clock: ten times what was used, and 10 s at least. A busy machine is as much slower.
    pub(crate) wall: u64,
    /// Seconds of processor time, the same.
    pub(crate) cpu: u64,
    /// MiB: twice what was used, and 512 at least. Where there is no cgroup the limit counts address space.
    pub(crate) memory: u64,
    /// Tasks: four times what was used, and 16 at least.
    pub(crate) processes: Option<u64>,
    /// MiB of the largest file, if the default is too small.
    pub(crate) file_size: Option<u64>,
}

/// The default of `limits.file-size`, in MiB.
const FILE_SIZE: u64 = 64;

impl Limits {
    /// Returns the limits for a child that used as much as this one.
    pub(crate) fn of(child: &SeenChild) -> Self {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a run takes minutes"
        )]
        let tenfold = |seconds: f64| ((seconds * 10.0).ceil() as u64).max(10).next_multiple_of(5);
        let cpu = child.usage.cpu.unwrap_or_default().as_secs_f64();
        let peak = child
            .usage
            .peak_memory_bytes
            .unwrap_or(0)
            .max(address_space(child));
        let largest = child.observations.iter().filter_map(written_bytes).max();
        let largest = mib(largest.unwrap_or(0)) * 2;
        Self {
            wall: tenfold(child.seconds),
            cpu: tenfold(cpu),
            memory: (mib(peak) * 2).max(512).next_power_of_two(),
            processes: child
                .usage
                .peak_tasks
                .map(|tasks| (tasks * 4).max(16).next_multiple_of(8)),
            file_size: (largest > FILE_SIZE).then(|| largest.next_power_of_two()),
        }
    }
}

fn mib(bytes: u64) -> u64 {
    bytes.div_ceil(1024 * 1024)
}

/// Returns the most address space that a process was seen to map, in bytes.
fn address_space(child: &SeenChild) -> u64 {
    let of = |it: &Observation| match &it.subject {
        Subject::Limit { key, value }
            if *key == "limits.memory" && it.outcome == Outcome::Permitted =>
        {
            value.strip_suffix('B')?.parse().ok()
        }
        _ => None,
    };
    child.observations.iter().filter_map(of).max().unwrap_or(0)
}

/// Returns the size of a file that was written.
fn written_bytes(observation: &Observation) -> Option<u64> {
    match &observation.subject {
        Subject::File { real, access, .. } if access.changes() => {
            let found = std::fs::symlink_metadata(real).ok()?;
            found.is_file().then_some(found.len())
        }
        _ => None,
    }
}

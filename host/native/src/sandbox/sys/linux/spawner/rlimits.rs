//! A grant's limits as resource limits of one process.
//!
//! They bound each process, not the tree: what they mean for the tree is the
//! registry's to watch. `RLIMIT_DATA` and not `RLIMIT_AS`, which breaks programs
//! that reserve address space (node, java); `RLIMIT_NPROC` not at all, because
//! it counts the user's processes everywhere.

use std::time::Duration;

use capspawn_raw::child::Limit;
use rustix::process::{Resource, getrlimit};

use crate::limits::Limits;

/// Returns the resource limits for `limits`, none above what the host has itself.
pub(crate) fn resources(limits: &Limits) -> Vec<Limit> {
    let mut resources = vec![limit(Resource::Core, 0, 0)];
    if let Some(cpu) = limits.cpu {
        let seconds = whole_seconds(cpu);
        // SIGXCPU first; SIGKILL for those that ignore it.
        resources.push(limit(Resource::Cpu, seconds, seconds.saturating_add(1)));
    }
    let alike = [
        (Resource::Data, limits.memory_bytes),
        (Resource::Nofile, limits.open_files),
        (Resource::Fsize, limits.file_size_bytes),
    ];
    for (resource, value) in alike {
        if let Some(value) = value {
            resources.push(limit(resource, value, value));
        }
    }
    resources
}

fn whole_seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

fn limit(resource: Resource, soft: u64, hard: u64) -> Limit {
    let own = getrlimit(resource).maximum.unwrap_or(u64::MAX);
    Limit {
        resource: number(resource),
        values: [soft.min(own), hard.min(own)],
    }
}

fn number(resource: Resource) -> u32 {
    match resource {
        Resource::Cpu => libc::RLIMIT_CPU,
        Resource::Fsize => libc::RLIMIT_FSIZE,
        Resource::Data => libc::RLIMIT_DATA,
        Resource::Nofile => libc::RLIMIT_NOFILE,
        _ => libc::RLIMIT_CORE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_second_counts_as_one() {
        assert_eq!(whole_seconds(Duration::from_millis(1)), 1);
        assert_eq!(whole_seconds(Duration::from_secs(2)), 2);
    }

    #[test]
    fn what_is_not_limited_is_left_alone_but_for_core_dumps() {
        let none = Limits {
            cpu: None,
            memory_bytes: None,
            open_files: None,
            file_size_bytes: None,
            ..Limits::default()
        };
        let core = Limit {
            resource: libc::RLIMIT_CORE,
            values: [0, 0],
        };
        assert_eq!(resources(&none), [core]);
        assert_eq!(resources(&Limits::default()).len(), 5);
    }
}

//! A grant's limits as resource limits of one process.
//!
//! They bound each process and not the tree; the registry watches what the tree uses.
//! `RLIMIT_DATA` bounds memory where no cgroup does. It counts address space that a program may write
//! and never uses, such as the shadow memory of the sanitizers of gcc and clang. Rejected:
//! `RLIMIT_AS`, which also counts what is only reserved (node, java).

use std::time::Duration;

use capspawn_raw::limit::{INHERITED, Limit, LimitList};
use rustix::process::{Resource, getrlimit};

use crate::launch::TreeMark;
use crate::limits::Limits;
use crate::sandbox::sys::linux::cgroup::Leaf;

/// What limits the memory of a child's tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MemoryLimit {
    /// The child's cgroup, exactly.
    Cgroup,
    /// `RLIMIT_DATA` for each process, and samples.
    Process,
}

impl MemoryLimit {
    /// Returns what limits a child in this cgroup, if it has one.
    pub(crate) fn of(cgroup: Option<&Leaf>) -> Self {
        match cgroup.is_some_and(Leaf::limits_memory) {
            true => Self::Cgroup,
            false => Self::Process,
        }
    }
}

/// Returns the resource limits for `limits`, none of them above the host's own.
pub(crate) fn resources(limits: &Limits, memory: MemoryLimit) -> LimitList {
    let alike = |resource, value: Option<u64>| value.map(|value| limit(resource, value, value));
    LimitList::from([
        alike(Resource::Core, Some(0)),
        // SIGXCPU at the soft limit; a second later SIGKILL, for a program that ignores it.
        limits
            .cpu
            .map(whole_seconds)
            .map(|seconds| limit(Resource::Cpu, seconds, seconds.saturating_add(1))),
        match memory {
            MemoryLimit::Process => alike(Resource::Data, limits.memory_bytes),
            MemoryLimit::Cgroup => None,
        },
        alike(Resource::Nofile, limits.open_files.map(open_files)),
        alike(Resource::Fsize, limits.file_size_bytes),
    ])
}

/// Returns the resource limits of a child outside a session: those for `limits`, and those that a session's server sets for
/// all its children.
pub(crate) fn alone(limits: &Limits, memory: MemoryLimit) -> LimitList {
    let mut list = resources(limits, memory);
    for limit in INHERITED {
        let [soft, hard] = limit.values;
        let resource = match limit.resource {
            libc::RLIMIT_STACK => Resource::Stack,
            libc::RLIMIT_NICE => Resource::Nice,
            _ => Resource::Rtprio,
        };
        // There is room for all.
        let _ = list.push(self::limit(resource, soft, hard));
    }
    list
}

/// Returns the most open files of a child for which the grant says `granted`.
///
/// The kernel counts descriptors in flight in UNIX sockets by user, and refuses a sender whose user has
/// more of them than the sender's own limit on open files. So a child of the host's own user that has a limit
/// as high as the host's could keep the host from sending the descriptors of further children. Root, and a
/// child of another user, are not affected.
fn open_files(granted: u64) -> u64 {
    if rustix::process::geteuid().is_root() {
        return granted;
    }
    let own = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    granted.min(below_host(own))
}

/// Returns the highest limit on open files of a child of the host's own user, by the host's soft limit.
fn below_host(own: u64) -> u64 {
    /// What a child can have in flight beyond its limit, by its last message (`SCM_MAX_FD`, 253), and
    /// what the host sends for one child.
    const RESERVED: u64 = 253 + 16;
    own.saturating_sub(RESERVED).max(own / 2)
}

/// Returns the limit on the tasks of a child's user.
pub(crate) fn user_tasks(tasks: u64) -> Limit {
    limit(Resource::Nproc, tasks, tasks)
}

/// Returns the mark of a tree as a limit.
pub(crate) fn mark(mark: TreeMark) -> Limit {
    let [soft, hard] = mark.locks();
    limit(Resource::Locks, soft, hard)
}

/// Rounds up.
fn whole_seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

fn limit(resource: Resource, soft: u64, hard: u64) -> Limit {
    let own = getrlimit(resource).maximum.unwrap_or(u64::MAX);
    Limit {
        // The discriminants are the kernel's numbers; a test holds it.
        resource: resource as u32,
        values: [soft.min(own), hard.min(own)],
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_resource_has_the_kernels_number() {
        for (resource, number) in [
            (Resource::Core, libc::RLIMIT_CORE),
            (Resource::Cpu, libc::RLIMIT_CPU),
            (Resource::Data, libc::RLIMIT_DATA),
            (Resource::Fsize, libc::RLIMIT_FSIZE),
            (Resource::Nofile, libc::RLIMIT_NOFILE),
            (Resource::Nproc, libc::RLIMIT_NPROC),
            (Resource::Locks, libc::RLIMIT_LOCKS),
            (Resource::Stack, libc::RLIMIT_STACK),
            (Resource::Nice, libc::RLIMIT_NICE),
            (Resource::Rtprio, libc::RLIMIT_RTPRIO),
        ] {
            assert_eq!(limit(resource, 0, 0).resource, number);
        }
    }

    #[test]
    fn a_child_of_the_hosts_user_leaves_descriptors_in_flight_to_the_host() {
        assert_eq!(below_host(1024), 1024 - 269);
        assert_eq!(below_host(64), 32);
        assert_eq!(below_host(u64::MAX), u64::MAX - 269);
    }

    #[test]
    fn a_fraction_of_a_second_counts_as_a_second() {
        assert_eq!(whole_seconds(Duration::from_millis(1)), 1);
        assert_eq!(whole_seconds(Duration::from_secs(2)), 2);
    }

    #[test]
    fn only_core_dumps_are_limited_without_a_limit() {
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
        assert_eq!(*resources(&none, MemoryLimit::Process), [core]);
        assert_eq!(resources(&Limits::default(), MemoryLimit::Process).len(), 5);
        let most = alone(&Limits::default(), MemoryLimit::Process);
        let numbers: BTreeSet<_> = most.iter().map(|limit| limit.resource).collect();
        assert_eq!((most.len(), numbers.len()), (8, 8));
    }

    #[test]
    fn address_space_is_limited_where_no_cgroup_limits_memory() {
        let limited = |memory| {
            let list = resources(&Limits::default(), memory);
            list.iter().any(|limit| limit.resource == libc::RLIMIT_DATA)
        };
        assert!(limited(MemoryLimit::Process));
        assert!(!limited(MemoryLimit::Cgroup));
    }
}

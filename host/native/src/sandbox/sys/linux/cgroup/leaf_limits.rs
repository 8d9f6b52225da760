//! What the cgroup of a child limits.

use crate::limits::Limits;

/// The least memory that a cgroup is limited to: 4 MiB. A child enters before it executes,
/// while it shares the memory of the host or of its session's server; the kernel must not end
/// it for lack of memory then, and an exec with the longest arguments takes 2 MiB. The registry
/// samples what has a lower limit.
const LEAST_MEMORY_BYTES: u64 = 4 * 1024 * 1024;

/// The limits of a cgroup; `None` is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LeafLimits {
    pub(super) memory_bytes: Option<u64>,
    pub(super) tasks: Option<u64>,
    /// The child's limit on memory is too low for a cgroup.
    pub(super) memory_is_sampled: bool,
}

impl LeafLimits {
    pub(super) fn of(limits: &Limits) -> Self {
        let memory_bytes = limits
            .memory_bytes
            .filter(|bytes| *bytes >= LEAST_MEMORY_BYTES);
        Self {
            memory_bytes,
            tasks: limits.processes,
            memory_is_sampled: memory_bytes != limits.memory_bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_memory_limit_below_4_mib_is_left_to_the_samples() {
        let of = |memory_bytes| {
            let limits = LeafLimits::of(&Limits {
                memory_bytes,
                ..Limits::default()
            });
            (limits.memory_bytes, limits.memory_is_sampled)
        };
        let least = 4 * 1024 * 1024;
        assert_eq!(of(Some(least - 1)), (None, true));
        assert_eq!(of(Some(least)), (Some(least), false));
        assert_eq!(of(None), (None, false));
    }
}

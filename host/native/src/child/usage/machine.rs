//! What the whole machine bounds: no tree has more.

use std::fs;

use super::proc::{kib, only_number};

/// The size of a socket's send buffer where the host's limit cannot be read, in bytes: 4 MiB, the
/// largest that is usual.
const DEFAULT_SEND_BUFFER_BYTES: u64 = 4 << 20;

/// Bounds of the machine.
#[derive(Debug, Clone, Copy)]
pub(super) struct Machine {
    /// Its shared memory, temporary file systems, huge pages and swap included, in bytes. The
    /// largest number where it cannot be read.
    pub(super) shared: u64,
    /// The most that one UNIX socket can hold, in bytes. The kernel doubles the buffer size that a
    /// program sets, and lets one packet of that size exceed it.
    pub(super) per_socket: u64,
}

impl Machine {
    pub(super) fn read() -> Self {
        let text = fs::read("/proc/meminfo").unwrap_or_default();
        let swapped = match (kib(&text, "SwapTotal:"), kib(&text, "SwapFree:")) {
            (Some(total), Some(free)) => Some(total.saturating_sub(free)),
            _ => None,
        };
        // Kernels without huge pages have no such line.
        let huge = kib(&text, "Hugetlb:").unwrap_or(0);
        let shared = kib(&text, "Shmem:").zip(swapped);
        let send_buffer = only_number("/proc/sys/net/core/wmem_max");
        Self {
            shared: shared.map_or(u64::MAX, |(shared, swapped)| {
                shared.saturating_add(swapped).saturating_add(huge)
            }),
            per_socket: send_buffer
                .unwrap_or(DEFAULT_SEND_BUFFER_BYTES)
                .saturating_mul(4),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_has_bounds() {
        let machine = Machine::read();
        assert!(machine.shared < u64::MAX);
        assert!((1..u64::MAX).contains(&machine.per_socket));
    }
}

//! The limit of the grant that ended a child.

use serde::Serialize;

use crate::limits::{Limits, show_bytes, show_duration};
use crate::status::KillReason;

/// A limit that was in force for a child, as a grant file has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReachedLimit {
    /// The key, such as `limits.memory`.
    pub key: &'static str,
    /// The value, such as `64MiB`. A component can make `limits.wall` shorter for a request: then it is that time.
    pub value: String,
}

impl ReachedLimit {
    /// Returns the limit that a child reached which was killed for `reason`; none for other reasons.
    pub(crate) fn of(reason: KillReason, limits: &Limits) -> Option<Self> {
        let (key, value) = match reason {
            KillReason::Timeout => ("limits.wall", Some(show_duration(limits.wall))),
            KillReason::CpuTime => ("limits.cpu", limits.cpu.map(show_duration)),
            KillReason::Memory => ("limits.memory", limits.memory_bytes.map(show_bytes)),
            KillReason::Processes => (
                "limits.processes",
                limits.processes.map(|it| it.to_string()),
            ),
            KillReason::FileSize => ("limits.file-size", limits.file_size_bytes.map(show_bytes)),
            KillReason::Output => ("limits.output", limits.output_bytes.map(show_bytes)),
            KillReason::Requested
            | KillReason::Released
            | KillReason::Lifetime
            | KillReason::Host => {
                return None;
            }
        };
        Some(Self { key, value: value? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_named_as_the_grant_writes_it() {
        let limits = Limits {
            output_bytes: Some(10 << 20),
            ..Limits::default()
        };
        let shown =
            |reason| ReachedLimit::of(reason, &limits).map(|it| format!("{} {}", it.key, it.value));
        for (reason, expected) in [
            (KillReason::Timeout, Some("limits.wall 30s")),
            (KillReason::CpuTime, Some("limits.cpu 1min")),
            (KillReason::Memory, Some("limits.memory 1GiB")),
            (KillReason::Processes, Some("limits.processes 256")),
            (KillReason::FileSize, Some("limits.file-size 64MiB")),
            (KillReason::Output, Some("limits.output 10MiB")),
            (KillReason::Requested, None),
            (KillReason::Host, None),
        ] {
            assert_eq!(shown(reason).as_deref(), expected, "{reason}");
        }
        let unlimited = Limits {
            memory_bytes: None,
            ..Limits::default()
        };
        assert_eq!(ReachedLimit::of(KillReason::Memory, &unlimited), None);
    }
}

//! The processors on which a task may run.

/// The processors on which a task may run, as `sched_setaffinity(2)` takes them: a bit
/// each. There are 1024, as in the C library's `cpu_set_t`.
pub type Affinity = [u8; 128];

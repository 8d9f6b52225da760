//! Samples the resource use of process trees.
//!
//! rlimits hold for each process: eight processes of 256 MiB exceed a limit of
//! 256 MiB for the tree, and a loop that forks exceeds one of processor time. A
//! cgroup enforces both, but not every host may create one. Without one the registry samples
//! the running trees every [`SAMPLE_INTERVAL`] and kills a tree over its limit.
//! Between two samples a tree can exceed its limits; the report calls that partial.
//!
//! One pass over `/proc` serves all trees. It finds the members by their process
//! group and by their mark ([`Marks`]): walking from parent to child would lose a process whose parent has ended. The pass
//! reads only files whose cost no child determines. They give an upper bound of a tree's memory:
//! what cannot be read counts with the most that it can be. Only where the bound is over the limit
//! a [`Measurement`] of that tree alone reads the expensive files, for a bounded time, and beside
//! the passes.

mod clock;
mod descriptors;
mod footprint;
mod machine;
mod marks;
mod measurement;
mod proc;
mod sample;
mod shared;
mod stat;

#[cfg(test)]
pub(crate) use sample::tests;

use std::time::Duration;

pub(crate) use clock::CpuClock;
pub(crate) use marks::Marks;
pub(crate) use measurement::{Measurement, TreeMemory};
pub(crate) use sample::{Sample, TreeName};

/// How often trees are sampled: every 200 ms, at which a pass over a few hundred
/// processes takes less than 1 % of a processor.
pub(crate) const SAMPLE_INTERVAL: Duration = Duration::from_millis(200);

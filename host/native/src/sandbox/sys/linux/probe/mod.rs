//! What this host enforces, and the report about it.

pub(crate) mod findings;
pub(crate) mod owners;
pub(crate) mod report;
pub(crate) mod reports;
pub(crate) mod run;
mod samples;
mod write_volume;

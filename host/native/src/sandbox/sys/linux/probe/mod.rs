//! What this host really enforces, and the report of it.

pub(crate) mod findings;
pub(crate) mod report;
pub(crate) mod run;

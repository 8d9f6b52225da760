//! The registry against real programs: what each operation promises, and a test
//! for each known way in which supervisors of processes fail.
//!
//! Most children here are not confined; the sandbox has its own tests in
//! `confined`. Where a test starts confined children, they are in the tier that
//! `CAPSPAWN_REQUIRE_TIER` demands.

#![expect(
    clippy::disallowed_types,
    reason = "the tests start processes of their own"
)]

mod adopted;
mod approval;
mod approved_file;
mod bad_input;
mod blocking;
mod bytes;
mod capacity;
mod caps;
mod capture;
mod detached;
mod endings;
mod exhaustion;
mod files;
mod flood;
mod held;
mod hidden;
mod hidden_files;
mod leak_matrix;
mod leaks;
mod limits;
mod owners;
mod pipelines;
mod redirect;
mod scripted;
mod scripted_approver;
mod shortage;
mod shutdown;
mod signals;
mod streams;
mod support;
mod verbs;

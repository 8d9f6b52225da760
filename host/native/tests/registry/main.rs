//! The registry against real programs: what each verb promises, and the defects
//! of the system that it replaces, each one a test.

#![expect(
    clippy::disallowed_types,
    reason = "the tests start processes of their own"
)]

mod approval;
mod approved_file;
mod bad_input;
mod capacity;
mod caps;
mod capture;
mod detached;
mod endings;
mod exhaustion;
mod leak_matrix;
mod leaks;
mod limits;
mod shutdown;
mod streams;
mod support;
mod trees;
mod verbs;

//! Sessions, with real children.

#![expect(
    clippy::disallowed_types,
    reason = "the tests start processes of their own"
)]

mod affinity;
mod faults;
mod holes;
mod isolation;
mod key;
mod leaks;
mod lifecycle;
mod limits;
mod random;
mod root;
mod served;
mod streams;
mod support;

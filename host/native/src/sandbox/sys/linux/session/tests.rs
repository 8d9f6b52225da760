//! Sessions with real children.

#![expect(
    clippy::disallowed_types,
    reason = "the tests start processes of their own"
)]

mod affinity;
mod faults;
mod filter_pass;
mod idle;
mod isolation;
mod leaks;
mod lifecycle;
mod limits;
mod masked;
mod names;
mod owners;
mod pool;
mod replaced;
mod root;
mod server;
mod spares;
mod streams;
mod support;

//! Sessions with real children.

mod affinity;
mod faults;
mod filter_pass;
mod isolation;
mod leaks;
mod lifecycle;
mod limits;
mod masked;
mod pool;
mod random;
mod root;
mod server;
mod streams;
mod support;

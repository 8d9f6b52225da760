//! Sessions, with real children.

mod affinity;
mod faults;
mod holes;
mod isolation;
mod key;
mod leaks;
mod lifecycle;
mod limits;
mod root;
mod served;
mod streams;
mod support;

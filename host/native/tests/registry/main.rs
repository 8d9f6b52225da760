//! The registry against real programs: what each verb promises, and the defects
//! of the system that it replaces, each one a test.

mod approval;
mod caps;
mod capture;
mod detached;
mod endings;
mod exhaustion;
mod leaks;
mod limits;
mod streams;
mod support;
mod verbs;

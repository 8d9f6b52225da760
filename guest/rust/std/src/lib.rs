//! The standard library, whose module `process` is the crate `capspawn-guest`.
//!
//! The script `unmodified` passes this crate to the compiler as the crate `std` of a program and of
//! all that the program depends on (`--extern std=`). All else is the standard library itself, so that
//! the types are the same. Rejected: a compiler or a standard library of our own, which every user
//! would have to build.
#![no_std]

extern crate std as real;

pub use real::*;

/// Processes: the crate `capspawn-guest` in place of the module that does nothing in a component.
pub mod process {
    pub use capspawn_guest::*;
    pub use real::process::id;
}

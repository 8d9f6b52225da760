//! What the launcher in the host and the program `capspawn-init` share: raw system
//! calls, the steps that a child takes before it executes, and the formats of the
//! messages between the two.
//!
//! The code runs in two places that allow little. A vfork child shares the memory of a
//! host whose other threads keep running, and `capspawn-init` is a static program that
//! is linked with no library. So the crate uses `core` alone: no allocation, no lock, no
//! C library. The reader and the writer of a format are in one file.
//!
//! In the vfork child a panic would be fatal: its message takes locks that a thread of
//! the host may hold. A development build checks arithmetic for overflow, so the crate
//! denies arithmetic that can overflow, and indexing, by lint: it uses wrapping, checked
//! and iterator forms instead.
//!
//! Cargo builds the crate for the host. The build script of `capspawn-native` builds it
//! once more for `capspawn-init`, small and without unwinding. Rejected: source files that
//! both include by `#[path]`; what one of the two did not use had to be allowed as dead code.

#![no_std]
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![allow(unsafe_code, reason = "raw system calls")]
#![deny(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

pub mod affinity;
pub mod attributes;
pub mod child;
pub mod clone;
pub mod confine;
pub mod filter;
pub mod limit;
pub mod step;
pub mod string_array;
pub mod syscall;
pub mod user;
pub mod wire;

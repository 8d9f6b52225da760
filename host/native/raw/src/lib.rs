//! What the launcher in the host and `capspawn-init` share: raw system calls, the
//! steps of a new child, and the formats in which the two talk to each other.
//!
//! `core` only, no allocation, no C library: the code runs in a vfork child, which
//! shares the host's memory, and in a static program that is linked with nothing.
//! Cargo builds the crate for the host, with the lints of the workspace; the build
//! script of `capspawn-native` builds it once more for `capspawn-init`.

#![no_std]
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![allow(unsafe_code, reason = "raw system calls")]
#![allow(
    missing_docs,
    missing_debug_implementations,
    reason = "documented in a later commit"
)]

pub mod child;
pub mod clone;
pub mod steps;
pub mod syscall;
pub mod wire;

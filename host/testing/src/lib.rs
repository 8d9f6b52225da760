//! Tests of plugins that start programs, without the programs.
//!
//! A plugin that starts `git` is usually tested with `git`: the test needs the program, a repository and a machine on
//! which nothing else happens, and no test shows what the plugin does when `git` hangs for ten minutes. This crate
//! replaces the launcher, and nothing else. The component, the grant, the registry and its limits are the real ones.
//!
//! The feature `host`, which is on by default, runs components. Without it the crate depends on `capspawn-native`
//! alone and builds no wasmtime.

mod pattern;
mod script;
mod scripted;

pub use capspawn_native::clock::{Clock, VirtualClock};
pub use pattern::{ArgPattern, any, rest};
pub use script::{Failure, Script};
pub use scripted::{Call, Fault, ScriptedLauncher};

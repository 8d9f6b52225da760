//! Tests of plugins that start programs, without the programs.
//!
//! A plugin that starts `git` is usually tested with `git`: the test needs the program, a repository and a machine on
//! which nothing else happens, and no test shows what the plugin does when `git` hangs for ten minutes. This crate
//! replaces the launcher, and nothing else. The component, the grant, the registry and its limits are the real ones.
//!
//! The guide `host/TESTING.md` of the repository begins with an example: a component with a scripted git.
//!
//! The feature `host`, which is on by default, runs components. Without it the crate depends on `capspawn-native`
//! alone and builds no wasmtime.

#[cfg(feature = "host")]
mod host;
mod pattern;
#[cfg(feature = "host")]
mod report;
mod script;
mod scripted;

/// Launchers that record real children, and replay them without a process.
pub use capspawn_tape as tape;

pub use capspawn_native::clock::{Clock, VirtualClock};
#[cfg(feature = "host")]
pub use host::{Parts, TestHost, TestState};
pub use pattern::{ArgPattern, any, rest};
#[cfg(feature = "host")]
pub use report::{ChildReport, Denied, FailedLaunch, Outcome, QuotaRefusal, Report};
pub use script::{Failure, Script};
pub use scripted::{Call, Fault, ScriptedLauncher};

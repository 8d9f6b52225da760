//! The one place that talks to the kernel about processes.
//!
//! Elsewhere than on Linux the launcher refuses everything: the same types with
//! a clear answer, instead of holes in the callers.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
pub use linux::NativeLauncher;

#[cfg(not(target_os = "linux"))]
mod unsupported;
#[cfg(not(target_os = "linux"))]
pub use unsupported::NativeLauncher;

mod watch;
pub(crate) use watch::watch;

//! The one place that talks to the kernel about processes.
//!
//! Elsewhere than on Linux the launcher refuses everything: the same types with
//! a clear answer, instead of holes in the callers.

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod linux;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub use linux::{NativeLauncher, NativeLauncherBuilder};

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
mod unsupported;
#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
pub use unsupported::{NativeLauncher, NativeLauncherBuilder};

mod register_fd;
pub(crate) use register_fd::register_fd;

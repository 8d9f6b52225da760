//! The one place that makes system calls about processes.
//!
//! On other systems than Linux on x86-64 the launcher has the same types and refuses every
//! launch with a clear error, so that no caller needs a condition.

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod linux;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub(crate) use linux::{
    DescriptorTable, FileFault, open_stream_file, return_free_memory, shared_memory_device,
};
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub use linux::{NativeLauncher, NativeLauncherBuilder};

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
mod unsupported;
#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
pub(crate) use unsupported::{
    DescriptorTable, FileFault, open_stream_file, return_free_memory, shared_memory_device,
};
#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
pub use unsupported::{NativeLauncher, NativeLauncherBuilder};

mod register_fd;
pub(crate) use register_fd::{KeepsOpen, register_fd};

//! The launcher on Linux: Landlock, seccomp, children started by vfork, and sessions in
//! namespaces.

mod blocked_signal;
mod builder;
mod cgroup;
mod deadline;
mod deferred;
mod descriptors;
mod fd;
mod heap;
mod launcher;
mod marked;
mod observe;
mod own_children;
mod owners;
mod policy;
mod probe;
mod reaper;
mod server;
mod session;
mod signal;
mod spawned;
mod spawner;
mod stream_file;
mod tmp;

pub use builder::NativeLauncherBuilder;
pub(crate) use descriptors::{DescriptorTable, shared_memory_device};
pub(crate) use heap::return_free_memory;
pub use launcher::NativeLauncher;
pub(crate) use stream_file::{FileFault, open_stream_file};

//! The launcher on Linux: Landlock, seccomp, children started by vfork, and sessions in
//! namespaces.

mod builder;
mod cgroup;
mod fd;
mod launcher;
mod owners;
mod policy;
mod probe;
mod session;
mod spawner;

pub use builder::NativeLauncherBuilder;
pub use launcher::NativeLauncher;

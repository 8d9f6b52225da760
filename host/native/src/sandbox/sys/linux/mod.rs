//! The launcher of Linux: Landlock, seccomp, a child by vfork, and sessions in
//! namespaces.

mod child;
mod clone;
mod descriptors;
mod filter;
mod helper;
mod job;
mod key;
mod landlock;
mod launcher;
mod limits;
mod policies;
mod policy;
mod privileges;
mod probe;
mod process;
#[allow(
    unsafe_code,
    dead_code,
    reason = "raw system calls; the helper shares the file and needs the rest"
)]
mod raw;
mod recall;
mod report;
mod session;
mod sessions;
#[allow(unsafe_code, reason = "raw system calls")]
mod steps;
mod strings;
mod vfork;
mod watcher;

pub use launcher::{NativeLauncher, NativeLauncherBuilder};

//! What a child may do: Landlock rules and the system call filter.

pub(crate) mod bpf;
pub(crate) mod cache;
pub(crate) mod landlock;
pub(crate) mod pass_key;
pub(crate) mod syscalls;

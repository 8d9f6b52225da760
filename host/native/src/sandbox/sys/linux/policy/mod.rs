//! What a child may do: its Landlock ruleset and its system call filter.

pub(crate) mod bpf;
pub(crate) mod cache;
pub(crate) mod filter_pass;
pub(crate) mod interpret;
pub(crate) mod landlock;
pub(crate) mod set_group_id;
pub(crate) mod syscalls;

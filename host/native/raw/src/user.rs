//! The user that a child becomes.

/// The user of a child that a server starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChildUser {
    /// The user id.
    pub uid: u32,
    /// The group id.
    pub gid: u32,
    /// The most tasks that the user may have, set after the change of the user: the kernel
    /// would fail the exec of a process that changes to a user with more.
    pub tasks: Option<u64>,
}

//! What a child is, without its output.

use std::time::SystemTime;

/// What a child is, without its output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChildInfo {
    /// Its number in the registry; not a process id.
    pub id: u64,
    /// The command's name in the grant.
    pub program: String,
    /// The arguments, as they were asked for; none once the child has ended and made room
    /// for others of its owner.
    pub args: Vec<String>,
    /// When it was started.
    pub started_at: SystemTime,
    /// When it ended, if it has.
    pub ended_at: Option<SystemTime>,
    /// The process id as the host sees it, only where the grant discloses it
    /// (`disclose-pid`).
    pub pid: Option<u32>,
}

//! What a probe of the host found.

use capspawn_raw::wire::ProbeFinding;

use super::owners::Users;
use crate::confinement::Tier;
use crate::sandbox::sys::linux::cgroup::Controllers;
use crate::shortage::Shortage;

/// What a probe found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Findings {
    /// The tier in which children are confined.
    pub(crate) tier: Tier,
    /// Whether the embedder requires this tier.
    pub(crate) tier_required: bool,
    /// The kernel's Landlock ABI, 0 for none.
    pub(crate) landlock: u32,
    /// What the self-test could do that it should not, as the bits of [`ProbeFinding`]; a hint for
    /// the operator where it did not run.
    pub(crate) breaches: Result<u8, &'static str>,
    /// Whether children keep the user id 0.
    pub(crate) keeps_root: bool,
    /// What the children's cgroups limit and count; what the operator can do where there are none.
    pub(crate) cgroups: Result<Controllers, &'static str>,
    /// Whether children run as the host's user, to whom their cgroups belong.
    pub(crate) owns_cgroups: bool,
    /// The users as which children run, where their confinement has no roots that decide it.
    pub(crate) users: Users,
    /// Whether samples see the children; else a hint for the operator.
    pub(crate) sampling: Result<(), &'static str>,
    /// Whether trees have a mark, by which samples see the processes that have left the leader's group.
    pub(crate) can_mark: bool,
    /// What the operator can change so that sessions work.
    pub(crate) session_hint: &'static str,
}

/// Findings, and whether they hold as long as the launcher lives.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Probed {
    /// Properties of the host.
    Lasting(Findings),
    /// The host was short of something, which shows nothing about it.
    Transient(Shortage),
}

pub(crate) const READ: u8 = ProbeFinding::Read.bit();
pub(crate) const WRITE: u8 = ProbeFinding::Write.bit();
pub(crate) const INET: u8 = ProbeFinding::Inet.bit();
pub(crate) const UNIX: u8 = ProbeFinding::Unix.bit();
pub(crate) const SIGNAL: u8 = ProbeFinding::Signal.bit();
pub(crate) const PRIVILEGES: u8 = ProbeFinding::Privileges.bit();
pub(crate) const CALLS: u8 = ProbeFinding::Syscalls.bit();
pub(crate) const GROUP: u8 = ProbeFinding::Group.bit();

pub(crate) const LANDLOCK_HINT: &str =
    "needs Linux 6.12 with Landlock: add `landlock` to the kernel's `lsm=` parameter";
pub(crate) const SECCOMP_HINT: &str = "a container's seccomp profile may deny seccomp(2)";
pub(crate) const SESSION_HINT: &str = "requires tier A (sessions in user namespaces)";
pub(crate) const MARK_HINT: &str = "raise the host's hard limit on file locks (`ulimit -Hx`) to 2048 or more, or let it make cgroups";

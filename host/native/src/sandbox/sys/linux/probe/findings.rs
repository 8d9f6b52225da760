//! What a probe has found.

use capspawn_raw::wire::ProbeFinding;

use crate::confinement::Tier;

/// What the probe has found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Findings {
    /// By what children are confined.
    pub(crate) tier: Tier,
    /// The embedder insists on the tier.
    pub(crate) forced: bool,
    /// The Landlock ABI, 0 for none.
    pub(crate) landlock: u32,
    /// What the self-test could do, as [`ProbeFinding`]'s bits; a hint where it did not run.
    pub(crate) open: Result<u8, &'static str>,
    /// Whether children keep the user id 0.
    pub(crate) root: bool,
    /// Why there are no sessions, where that was tried.
    pub(crate) no_session: &'static str,
}

/// Findings, and whether they hold as long as the launcher.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Probed {
    /// They are the host's.
    Lasting(Findings),
    /// They are this moment's: the host was short of something.
    Passing(Findings),
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
pub(crate) const SECCOMP_HINT: &str = "a container's seccomp profile may refuse seccomp(2)";
pub(crate) const SHORT_HINT: &str =
    "the host was short of descriptors, memory or processes: try again";
pub(crate) const TIER_HINT: &str = "needs a session (user namespaces), tier A";

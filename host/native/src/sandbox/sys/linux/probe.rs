//! What this host really enforces, found out by doing.
//!
//! Versions and sysctls do not predict what a machine allows: the helper is
//! started under an empty confinement and tries what it must not be able to do.
//! Once per launcher; a test that could not be made for want of descriptors or
//! memory says nothing of the host, and is made again at the next question.

use std::io::{self, PipeWriter, pipe};
use std::os::fd::AsFd;
use std::sync::Arc;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, retry_on_intr};

use super::descriptors::raised;
use super::helper::NotExecutable;
use super::landlock;
use super::launcher::NativeLauncher;
use super::policies::Policy;
use super::process::Child;
use super::session::{Profile, Session};
use crate::error::{LaunchError, Stage, errno_within};
use crate::launch::{ChildStdio, Exit, Process};
use crate::sandbox::{Confinement, FsRules, Network, Sandbox, Tier};
use crate::status::Signal;

/// How long the self-test may take: it makes a dozen system calls.
const BOUND: Timespec = Timespec {
    tv_sec: 5,
    tv_nsec: 0,
};

/// What the probe has found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Findings {
    /// By what children are confined.
    pub(super) tier: Tier,
    /// The embedder insists on the tier.
    pub(super) forced: bool,
    /// The Landlock ABI, 0 for none.
    pub(super) landlock: u32,
    /// What the self-test could do, as the helper's bits; a hint where it did not run.
    pub(super) open: Result<u8, &'static str>,
    /// Whether children keep the user id 0.
    pub(super) root: bool,
    /// Why there are no sessions, where that was tried.
    pub(super) no_session: &'static str,
}

/// Findings, and whether they hold as long as the launcher.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Probed {
    /// They are the host's.
    Lasting(Findings),
    /// They are this moment's: the host was short of something.
    Passing(Findings),
}

/// A process of the children's user, which is all that keeps others from a signal to it. The host itself
/// would not do: a root host is out of its children's reach without any sandbox.
struct Canary {
    process: Child,
    /// The process ends with this end of its standard input.
    _stdin: PipeWriter,
}

impl Canary {
    fn start(launcher: &NativeLauncher) -> Result<Self, LaunchError> {
        let at = |stage| move |source| LaunchError::new(stage, source);
        let (theirs, ours) = pipe().map_err(at(Stage::Pipe))?;
        let theirs = raised(theirs.into()).map_err(at(Stage::Pipe))?;
        let process = launcher.start_canary(theirs.as_fd())?;
        Ok(Self {
            process,
            _stdin: ours,
        })
    }
}

impl Drop for Canary {
    fn drop(&mut self) {
        let _ = self.process.signal(Signal::Kill);
        self.process.wait();
    }
}

/// Runs the self-test in the tier that is insisted on, or in the first one that
/// holds. Where none does, the last tells what is open.
pub(super) fn run(launcher: &NativeLauncher) -> Probed {
    let findings = find(launcher);
    match findings.open {
        Err(SHORT_HINT) => Probed::Passing(findings),
        _ => Probed::Lasting(findings),
    }
}

fn find(launcher: &NativeLauncher) -> Findings {
    let landlock = landlock::abi();
    let forced = launcher.forced_tier();
    let findings = |tier, open, no_session| Findings {
        tier,
        forced: forced.is_some(),
        landlock,
        open,
        root: launcher.keeps_root(),
        no_session,
    };
    let mut no_session = TIER_HINT;
    if forced.unwrap_or(Tier::A) == Tier::A {
        let open = told(test_session(launcher));
        // A moment's shortage must not choose the lesser tier.
        if forced.is_some() || open == Ok(0) || open == Err(SHORT_HINT) {
            return findings(Tier::A, open, no_session);
        }
        no_session = open.err().unwrap_or(TIER_HINT);
    }
    let tier = forced.unwrap_or(if landlock > 0 { Tier::B } else { Tier::C });
    let open = match tier {
        Tier::B if landlock == 0 => Err(LANDLOCK_HINT),
        tier => told(test_alone(launcher, tier)),
    };
    findings(tier, open, no_session)
}

fn told(open: Result<u8, LaunchError>) -> Result<u8, &'static str> {
    open.inspect_err(|error| tracing::warn!(%error, "the sandbox probe failed"))
        .map_err(|error| hint(&error))
}

/// Best effort: what is missing shows in the result.
fn confinement() -> Confinement {
    Confinement {
        sandbox: Sandbox::BestEffort,
        network: Network::None,
        fs: FsRules::default(),
    }
}

fn test_alone(launcher: &NativeLauncher, tier: Tier) -> Result<u8, LaunchError> {
    let at = |stage| move |source| LaunchError::new(stage, source);
    let policy = Policy::new(&confinement(), None, tier).map_err(at(Stage::Ruleset))?;
    test(launcher, &policy)
}

fn test(launcher: &NativeLauncher, policy: &Policy) -> Result<u8, LaunchError> {
    let canary = Canary::start(launcher)?;
    let probe = launcher.start_probe(policy, canary.process.pid())?;
    let result = outcome(&probe);
    probe.wait();
    result
}

fn test_session(launcher: &NativeLauncher) -> Result<u8, LaunchError> {
    let at = |stage| move |source| LaunchError::new(stage, source);
    let profile = Profile {
        confinement: Arc::new(confinement()),
        tmpfs_bytes: 64 * 1024,
        processes: Some(8),
    };
    let canary = Canary::start(launcher)?;
    let plan = launcher.session_probe(canary.process.pid());
    let plan = plan.map_err(at(Stage::Spawn))?;
    let session = Arc::new(Session::start(launcher, &profile)?);
    outcome(&session.launch(&plan, &ChildStdio::default())?)
}

/// Waits for the self-test.
fn outcome(probe: &dyn Process) -> Result<u8, LaunchError> {
    let exit_fd = probe.exit_fd();
    let readable =
        retry_on_intr(|| poll(&mut [PollFd::new(&exit_fd, PollFlags::IN)], Some(&BOUND)));
    if readable != Ok(1) {
        let _ = probe.signal(Signal::Kill);
        let source = io::Error::new(io::ErrorKind::TimedOut, "the self-test took too long");
        return Err(LaunchError::new(Stage::Exec, source));
    }
    let code = match probe.try_exit() {
        Ok(Some(Exit::Code(code))) => u8::try_from(code).ok(),
        _ => None,
    };
    code.ok_or_else(|| {
        let source = io::Error::other("the self-test did not finish");
        LaunchError::new(Stage::Exec, source)
    })
}

/// What to look at where the self-test could not start.
fn hint(error: &LaunchError) -> &'static str {
    match error.stage {
        _ if is_shortage(&error.source) => SHORT_HINT,
        _ if NotExecutable::is(&error.source) => NotExecutable::HINT,
        Stage::Namespaces | Stage::Root => namespaces_hint(),
        _ => SECCOMP_HINT,
    }
}

/// Whether the same may succeed a moment later: no descriptors, memory, processes or time.
fn is_shortage(error: &io::Error) -> bool {
    let short = [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::AGAIN];
    error.kind() == io::ErrorKind::TimedOut
        || errno_within(error).is_some_and(|errno| short.contains(&errno))
}

/// Which setting keeps a host from having user namespaces.
fn namespaces_hint() -> &'static str {
    let is = |path: &str, value: &str| {
        std::fs::read_to_string(path).is_ok_and(|text| text.trim() == value)
    };
    if is("/proc/sys/user/max_user_namespaces", "0") {
        "set user.max_user_namespaces above 0"
    } else if is(
        "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
        "1",
    ) {
        "kernel.apparmor_restrict_unprivileged_userns is 1: allow this program user namespaces by an AppArmor profile"
    } else if is("/proc/sys/kernel/unprivileged_userns_clone", "0") {
        "set kernel.unprivileged_userns_clone to 1"
    } else {
        "a container's seccomp profile may refuse user namespaces and mounts"
    }
}

pub(super) const READ: u8 = 1;
pub(super) const WRITE: u8 = 1 << 1;
pub(super) const INET: u8 = 1 << 2;
pub(super) const UNIX: u8 = 1 << 3;
pub(super) const SIGNAL: u8 = 1 << 4;
pub(super) const PRIVILEGES: u8 = 1 << 5;
pub(super) const CALLS: u8 = 1 << 6;
pub(super) const GROUP: u8 = 1 << 7;

pub(super) const LANDLOCK_HINT: &str =
    "needs Linux 6.12 with Landlock: add `landlock` to the kernel's `lsm=` parameter";
pub(super) const SECCOMP_HINT: &str = "a container's seccomp profile may refuse seccomp(2)";
pub(super) const SHORT_HINT: &str =
    "the host was short of descriptors, memory or processes: try again";
pub(super) const TIER_HINT: &str = "needs a session (user namespaces), tier A";

#[cfg(test)]
mod tests;

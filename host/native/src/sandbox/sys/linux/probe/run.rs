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

use super::findings::{Findings, LANDLOCK_HINT, Probed, SECCOMP_HINT, SHORT_HINT, TIER_HINT};
use crate::confinement::{Confinement, FsRules, Network, Sandbox, Tier};
use crate::launch::{ChildStdio, Exit, LaunchError, Process, Stage, errno_within};
use crate::sandbox::sys::linux::fd::memfd::NotExecutable;
use crate::sandbox::sys::linux::fd::stdio::above_stdio;
use crate::sandbox::sys::linux::policy::cache::Policy;
use crate::sandbox::sys::linux::policy::landlock;
use crate::sandbox::sys::linux::session::{Profile, Session};
use crate::sandbox::sys::linux::spawner::Spawner;
use crate::sandbox::sys::linux::spawner::process::Child;
use crate::status::Signal;

/// How long the self-test may take: it makes a dozen system calls.
const BOUND: Timespec = Timespec {
    tv_sec: 5,
    tv_nsec: 0,
};

/// A process of the children's user, which is all that keeps others from a signal to it. The host itself
/// would not do: a root host is out of its children's reach without any sandbox.
struct Canary {
    process: Child,
    /// The process ends with this end of its standard input.
    _stdin: PipeWriter,
}

impl Canary {
    fn start(spawner: &Spawner) -> Result<Self, LaunchError> {
        let at = |stage| move |source| LaunchError::new(stage, source);
        let (theirs, ours) = pipe().map_err(at(Stage::Pipe))?;
        let theirs = above_stdio(theirs.into()).map_err(at(Stage::Pipe))?;
        let process = spawner.start_canary(theirs.as_fd())?;
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
pub(crate) fn run(spawner: &Spawner, forced: Option<Tier>) -> Probed {
    let findings = find(spawner, forced);
    match findings.open {
        Err(SHORT_HINT) => Probed::Passing(findings),
        _ => Probed::Lasting(findings),
    }
}

fn find(spawner: &Spawner, forced: Option<Tier>) -> Findings {
    let landlock = landlock::abi();
    let findings = |tier, open, no_session| Findings {
        tier,
        forced: forced.is_some(),
        landlock,
        open,
        root: spawner.keeps_root(),
        no_session,
    };
    let mut no_session = TIER_HINT;
    if forced.unwrap_or(Tier::A) == Tier::A {
        let open = told(test_session(spawner));
        // A moment's shortage must not choose the lesser tier.
        if forced.is_some() || open == Ok(0) || open == Err(SHORT_HINT) {
            return findings(Tier::A, open, no_session);
        }
        no_session = open.err().unwrap_or(TIER_HINT);
    }
    let tier = forced.unwrap_or(if landlock > 0 { Tier::B } else { Tier::C });
    let open = match tier {
        Tier::B if landlock == 0 => Err(LANDLOCK_HINT),
        tier => told(test_alone(spawner, tier)),
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

fn test_alone(spawner: &Spawner, tier: Tier) -> Result<u8, LaunchError> {
    let at = |stage| move |source| LaunchError::new(stage, source);
    let policy = Policy::new(&confinement(), None, tier).map_err(at(Stage::Ruleset))?;
    test(spawner, &policy)
}

fn test(spawner: &Spawner, policy: &Policy) -> Result<u8, LaunchError> {
    let canary = Canary::start(spawner)?;
    let probe = spawner.start_probe(policy, canary.process.pid())?;
    let result = outcome(&probe);
    probe.wait();
    result
}

fn test_session(spawner: &Spawner) -> Result<u8, LaunchError> {
    let at = |stage| move |source| LaunchError::new(stage, source);
    let profile = Profile {
        confinement: Arc::new(confinement()),
        tmpfs_bytes: 64 * 1024,
        processes: Some(8),
    };
    let canary = Canary::start(spawner)?;
    let plan = spawner.session_probe(canary.process.pid());
    let plan = plan.map_err(at(Stage::Spawn))?;
    let session = Arc::new(Session::start(spawner, &profile)?);
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

#[cfg(test)]
mod tests;

//! The self-test: what this host enforces, tested by attempts to break out.
//!
//! The problem: kernel versions and sysctls do not predict what a machine allows.
//!
//! The way chosen: `capspawn-init` is started under a confinement that grants nothing, and attempts
//! everything that the confinement should deny. That happens once per launcher. A
//! self-test that failed for lack of a resource, or that was killed, shows nothing about the host:
//! the launch fails as a shortage, and the next one probes again. Rejected: a table of versions and
//! settings; it is used for hints only.

use std::io::{self, PipeWriter, pipe};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;

use super::findings::{Findings, LANDLOCK_HINT, Probed, SECCOMP_HINT, SESSION_HINT};
use super::owners::Users;
use super::samples::see_children;
use crate::confinement::{Confinement, FsRules, Network, Sandbox, Tier};
use crate::launch::{ChildStdio, Exit, LaunchError, Process, Stage};
use crate::sandbox::sys::linux::cgroup::Unavailable;
use crate::sandbox::sys::linux::deadline::Deadline;
use crate::sandbox::sys::linux::fd::memfd::NotExecutable;
use crate::sandbox::sys::linux::fd::stdio::above_stdio;
use crate::sandbox::sys::linux::policy::cache::Policy;
use crate::sandbox::sys::linux::policy::landlock;
use crate::sandbox::sys::linux::session::{Profile, Session};
use crate::sandbox::sys::linux::spawner::Spawner;
use crate::sandbox::sys::linux::spawner::privileges::CannotSignal;
use crate::sandbox::sys::linux::spawner::process::Child;
use crate::sandbox::sys::linux::spawner::tree::Tree;
use crate::shortage::Shortage;
use crate::status::Signal;

/// How long the self-test may take: it makes a dozen system calls.
const SELF_TEST_TIMEOUT: Duration = Duration::from_secs(5);

/// A process that the self-test tries to signal. It runs as the children's user, so only the confinement
/// can prevent the signal. The host would be the wrong target: children of a root host cannot signal the
/// host even without a sandbox.
struct Canary {
    process: Child,
    /// The process ends when this end of its standard input is closed. None only while
    /// dropping.
    stdin: Option<PipeWriter>,
}

impl Canary {
    fn start(spawner: &Spawner) -> Result<Self, LaunchError> {
        let at = |stage| move |source| LaunchError::new(stage, source);
        let (theirs, ours) = pipe().map_err(at(Stage::Pipe))?;
        let theirs = above_stdio(theirs.into()).map_err(at(Stage::Pipe))?;
        let canary = Self {
            process: spawner.start_canary(theirs.as_fd())?,
            stdin: Some(ours),
        };
        drop(theirs);
        match canary.process.may_signal() {
            Ok(()) => Ok(canary),
            Err(Errno::PERM) => {
                let source = io::Error::other(CannotSignal);
                Err(LaunchError::new(Stage::Spawn, source))
            }
            Err(errno) => Err(LaunchError::new(Stage::Spawn, errno.into())),
        }
    }
}

impl Drop for Canary {
    fn drop(&mut self) {
        // Closed first: it ends the process even where the signal is not permitted.
        drop(self.stdin.take());
        let _ = self.process.signal(Signal::Kill);
        self.process.wait();
    }
}

/// Runs the self-test in the tier that is `required`, else in the best tier that the host supports.
pub(crate) fn run(spawner: &Spawner, required: Option<Tier>) -> Probed {
    match find(spawner, required) {
        Ok(findings) => Probed::Lasting(findings),
        Err(shortage) => Probed::Transient(shortage),
    }
}

fn find(spawner: &Spawner, required: Option<Tier>) -> Result<Findings, Shortage> {
    let landlock = landlock::abi();
    let cgroups = match spawner.cgroups().controllers() {
        Ok(controllers) => Ok(controllers),
        Err(Unavailable::Hint(hint)) => Err(hint),
        Err(Unavailable::Shortage(error)) => {
            tracing::warn!(%error, "the sandbox probe failed");
            return Err(Shortage::within(&error).unwrap_or(Shortage::Memory));
        }
    };
    let findings = |tier, breaches, session_hint| {
        Ok(Findings {
            cgroups,
            owns_cgroups: spawner.user().0.uid == rustix::process::geteuid().as_raw(),
            tier,
            tier_required: required.is_some(),
            landlock,
            breaches,
            keeps_root: spawner.keeps_root(),
            users: match spawner.owners() {
                Some(_) => Users::Each,
                None => Users::One,
            },
            sampling: see_children(tier)?,
            can_mark: Spawner::can_mark(),
            session_hint,
        })
    };
    let mut session_hint = SESSION_HINT;
    if required.unwrap_or(Tier::A) == Tier::A {
        let mut breaches = breaches(test_session(spawner))?;
        // One failure must not select a weaker tier for the life of the launcher.
        if breaches.is_err() {
            breaches = self::breaches(test_session(spawner))?;
        }
        if required.is_some() || breaches == Ok(0) {
            return findings(Tier::A, breaches, session_hint);
        }
        session_hint = breaches.err().unwrap_or(SESSION_HINT);
    }
    let tier = required.unwrap_or(if landlock > 0 { Tier::B } else { Tier::C });
    let breaches = match tier {
        Tier::B if landlock == 0 => Err(LANDLOCK_HINT),
        tier => breaches(test_alone(spawner, tier))?,
    };
    findings(tier, breaches, session_hint)
}

/// Returns what the self-test could do, or a hint for the operator where the host cannot run it.
///
/// # Errors
///
/// What the host was too short of to run it.
fn breaches(tested: Result<u8, LaunchError>) -> Result<Result<u8, &'static str>, Shortage> {
    let error = match tested {
        Ok(breaches) => return Ok(Ok(breaches)),
        Err(error) => error,
    };
    tracing::warn!(%error, "the sandbox probe failed");
    match shortage(&error) {
        Some(shortage) => Err(shortage),
        None => Ok(Err(hint(&error))),
    }
}

/// Returns what the host was short of where that, and no property of the host, has made the
/// self-test fail.
fn shortage(error: &LaunchError) -> Option<Shortage> {
    match error.shortage() {
        // A limit of 0 is a setting: no namespace will ever be free.
        Some(Shortage::Namespaces) if denied_namespaces().is_some() => None,
        // A process of the session, or the server, was killed before it could reply.
        None if error.source.kind() == io::ErrorKind::BrokenPipe => Some(Shortage::Killed),
        None if error.source.kind() == io::ErrorKind::TimedOut => Some(Shortage::Time),
        shortage => shortage,
    }
}

/// Best effort: whatever the host lacks shows in the result.
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
    // As the children of this tier are started.
    test(
        spawner,
        &policy,
        tier == Tier::B && landlock::has_signal_scope(),
    )
}

fn test(spawner: &Spawner, policy: &Policy, by_server: bool) -> Result<u8, LaunchError> {
    let canary = Canary::start(spawner)?;
    let canary_pid = canary.process.pid();
    let probe = match by_server {
        true => {
            let plan = spawner.probe_plan(canary_pid, false, policy.has_free_groups());
            let plan = plan.map_err(|source| LaunchError::new(Stage::Spawn, source))?;
            let (stdio, tree) = (ChildStdio::default(), Tree::default());
            spawner.start_by_server(&plan, &stdio, policy, None, None, tree)?
        }
        false => spawner.start_probe(policy, canary_pid)?,
    };
    let result = outcome(&probe);
    probe.wait();
    drop(probe);
    if by_server {
        // A launcher that has started no child has no process.
        spawner.give_up_servers(&spawner.alone_servers()?);
    }
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
    let plan = spawner.probe_plan(canary.process.pid(), true, landlock::has_signal_scope());
    let plan = plan.map_err(at(Stage::Spawn))?;
    let session = Arc::new(Session::start(spawner, &profile)?);
    outcome(&session.launch(&plan, &ChildStdio::default(), Tree::default())?)
}

/// Waits for the self-test, and returns its breaches.
fn outcome(probe: &dyn Process) -> Result<u8, LaunchError> {
    let exit_fd = probe.exit_fd();
    let mut fds = [PollFd::new(&exit_fd, PollFlags::IN)];
    if Deadline::after(SELF_TEST_TIMEOUT).poll(&mut fds) != Ok(true) {
        let _ = probe.signal(Signal::Kill);
        let source = io::Error::new(io::ErrorKind::TimedOut, "the self-test took too long");
        return Err(LaunchError::new(Stage::Exec, source));
    }
    let source = match probe.try_exit() {
        Ok(Some(Exit::Code(code))) => match u8::try_from(code) {
            Ok(breaches) => return Ok(breaches),
            Err(_) => io::Error::other("the self-test ended with an unknown code"),
        },
        // A seccomp profile that kills shows something about the host; any other end shows nothing.
        Ok(Some(Exit::Signal(signal))) if i32::from(signal) == libc::SIGSYS => {
            io::Error::other("the self-test was killed for a system call (SIGSYS)")
        }
        Ok(_) => Shortage::Killed.into(),
        Err(error) => error,
    };
    Err(LaunchError::new(Stage::Exec, source))
}

/// Returns what the operator can change where the self-test could not run.
fn hint(error: &LaunchError) -> &'static str {
    match error.stage {
        _ if NotExecutable::is(&error.source) => NotExecutable::HINT,
        _ if CannotSignal::is(&error.source) => CannotSignal::HINT,
        Stage::Namespaces | Stage::Root => denied_namespaces()
            .unwrap_or("a container's seccomp profile may deny user namespaces and mounts"),
        _ => SECCOMP_HINT,
    }
}

/// Returns the setting that denies namespaces on this host, if one does.
fn denied_namespaces() -> Option<&'static str> {
    let is = |path: &str, value: &str| {
        std::fs::read_to_string(path).is_ok_and(|text| text.trim() == value)
    };
    const COUNTS: [(&str, &str); 6] = [
        (
            "/proc/sys/user/max_user_namespaces",
            "set user.max_user_namespaces above 0",
        ),
        (
            "/proc/sys/user/max_mnt_namespaces",
            "set user.max_mnt_namespaces above 0",
        ),
        (
            "/proc/sys/user/max_pid_namespaces",
            "set user.max_pid_namespaces above 0",
        ),
        (
            "/proc/sys/user/max_net_namespaces",
            "set user.max_net_namespaces above 0",
        ),
        (
            "/proc/sys/user/max_ipc_namespaces",
            "set user.max_ipc_namespaces above 0",
        ),
        (
            "/proc/sys/user/max_uts_namespaces",
            "set user.max_uts_namespaces above 0",
        ),
    ];
    let denied = COUNTS.iter().find(|(path, _)| is(path, "0"));
    if let Some((_, hint)) = denied {
        Some(hint)
    } else if is(
        "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
        "1",
    ) {
        Some(
            "kernel.apparmor_restrict_unprivileged_userns is 1: allow user namespaces for this program in an AppArmor profile",
        )
    } else if is("/proc/sys/kernel/unprivileged_userns_clone", "0") {
        Some("set kernel.unprivileged_userns_clone to 1")
    } else {
        None
    }
}

#[cfg(test)]
mod tests;

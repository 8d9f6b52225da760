//! What this host really enforces, found out by doing.
//!
//! Versions and sysctls do not predict what a machine allows: the helper is
//! started under an empty confinement and tries what it must not be able to do.
//! Once per launcher.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::retry_on_intr;

use super::helper::NotExecutable;
use super::landlock;
use super::launcher::NativeLauncher;
use super::policies::Policy;
use super::session::{Profile, Session};
use crate::error::{LaunchError, Stage};
use crate::launch::{ChildStdio, Exit, Process};
use crate::sandbox::{
    Confinement, Dimension, Enforced, Enforcement, FsRules, Network, Sandbox, Tier,
};
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

/// Runs the self-test in the tier that is insisted on, or in the first one that
/// holds. Where none does, the last tells what is open.
pub(super) fn run(launcher: &NativeLauncher) -> Findings {
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
        if forced.is_some() || open == Ok(0) {
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
    let probe = launcher.start_probe(&policy)?;
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
    let plan = launcher.session_probe().map_err(at(Stage::Spawn))?;
    let null = || -> io::Result<OwnedFd> {
        let file = File::options().read(true).write(true).open("/dev/null")?;
        Ok(file.into())
    };
    let stdio = || -> io::Result<ChildStdio> {
        Ok(ChildStdio {
            stdin: null()?,
            stdout: null()?,
            stderr: null()?,
        })
    };
    let stdio = stdio().map_err(at(Stage::Stdio))?;
    let session = Arc::new(Session::start(launcher, &profile)?);
    outcome(&session.launch(&plan, &stdio)?)
}

/// Waits for the self-test.
fn outcome(probe: &dyn Process) -> Result<u8, LaunchError> {
    let exit_fd = probe.exit_fd();
    let readable =
        retry_on_intr(|| poll(&mut [PollFd::new(&exit_fd, PollFlags::IN)], Some(&BOUND)));
    if readable != Ok(1) {
        let _ = probe.signal(Signal::Kill);
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
        _ if NotExecutable::is(&error.source) => NotExecutable::HINT,
        Stage::Namespaces | Stage::Root => namespaces_hint(),
        _ => SECCOMP_HINT,
    }
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

const READ: u8 = 1;
const WRITE: u8 = 1 << 1;
const INET: u8 = 1 << 2;
const UNIX: u8 = 1 << 3;
const SIGNAL: u8 = 1 << 4;
const PRIVILEGES: u8 = 1 << 5;
const CALLS: u8 = 1 << 6;
const GROUP: u8 = 1 << 7;

const LANDLOCK_HINT: &str =
    "needs Linux 6.12 with Landlock: add `landlock` to the kernel's `lsm=` parameter";
const SECCOMP_HINT: &str = "a container's seccomp profile may refuse seccomp(2)";
const TIER_HINT: &str = "needs a session (user namespaces), tier A";

/// Returns the report for `confinement`.
pub(super) fn report(findings: &Findings, confinement: &Confinement) -> Enforcement {
    let tier = findings.tier;
    let open = match findings.open {
        _ if confinement.sandbox == Sandbox::None => None,
        Ok(open) => Some(open),
        Err(hint) if findings.forced => {
            let reason = "the tier that is insisted on is not to be had";
            return Enforcement::none(confinement, reason, hint).refusing();
        }
        Err(hint) => {
            let reason = "the sandbox probe could not start";
            return Enforcement::none(confinement, reason, hint);
        }
    };
    let levels = Dimension::ALL.map(|name| match (tier, open) {
        (Tier::A, Some(open)) => (name, in_session(name, findings, open, confinement)),
        _ => (name, level(name, findings, open, confinement)),
    });
    let report = Enforcement::new(confinement, levels.into());
    match open {
        Some(_) => report.in_tier(tier),
        None => report,
    }
}

/// The level of one dimension in a session; what is not better there is as elsewhere.
fn in_session(
    name: Dimension,
    findings: &Findings,
    open: u8,
    confinement: &Confinement,
) -> Enforced {
    let closed = |bit, mechanism| match open & bit {
        0 => Enforced::Full { mechanism },
        _ => Enforced::None {
            reason: "the probe got through",
            hint: SECCOMP_HINT,
        },
    };
    match (name, confinement.network) {
        (Dimension::FsRead, _) => closed(READ, "private root, Landlock"),
        (Dimension::FsWrite, _) => closed(WRITE, "private root, Landlock"),
        (Dimension::FsMetadata, _) => closed(READ, "private root"),
        (Dimension::DenyHoles, _) => closed(READ, "mounted over"),
        (Dimension::NetworkIp, Network::None) => closed(INET, "network namespace, seccomp"),
        (Dimension::NetworkIp, Network::Loopback) => closed(0, "network namespace"),
        (Dimension::NetworkUnix, Network::None | Network::Loopback) => {
            closed(UNIX, "private root, seccomp")
        }
        (Dimension::CrossProcess, _) => closed(SIGNAL, "pid namespace, seccomp"),
        (Dimension::TreeKill, _) => closed(GROUP, "process group that seccomp keeps closed"),
        (Dimension::Processes, _) => closed(0, "RLIMIT_NPROC in a user namespace"),
        _ => level(name, findings, Some(open), confinement),
    }
}

const UNASKED: Enforced = Enforced::None {
    reason: "the grant says sandbox = \"none\"",
    hint: "set sandbox = \"required\"",
};

/// The level of one dimension; `open` is none where the grant asks for no confinement.
fn level(
    name: Dimension,
    findings: &Findings,
    open: Option<u8>,
    confinement: &Confinement,
) -> Enforced {
    let full = |mechanism| Enforced::Full { mechanism };
    let closed = |bit, mechanism, hint| match open {
        None => UNASKED,
        Some(open) if open & bit == 0 => full(mechanism),
        Some(_) => Enforced::None {
            reason: "the probe got through",
            hint,
        },
    };
    // Samples see the members of the process group, which only the filter keeps closed.
    let sampled = |mechanism, confined, unconfined| Enforced::Partial {
        mechanism,
        gap: open.map_or(unconfined, |_| confined),
    };
    match name {
        Dimension::WallClock | Dimension::Output => full("the registry"),
        Dimension::Descriptors => full("close_range"),
        Dimension::Environment => full("built from the grant"),
        Dimension::Processes => sampled(
            "counted by the registry",
            "sampled: a burst may pass the cap",
            "sampled: a burst, or who leaves the group, may pass the cap",
        ),
        Dimension::Memory => sampled(
            "RLIMIT_DATA, sampled",
            "per process between samples",
            "per process between samples, and for who leaves the group",
        ),
        Dimension::CpuTime => sampled(
            "RLIMIT_CPU, sampled",
            "per process between samples",
            "per process between samples, and for who leaves the group",
        ),
        Dimension::TreeKill if open.is_none() => Enforced::Partial {
            mechanism: "process group",
            gap: "a descendant may leave it by setsid",
        },
        Dimension::TreeKill => closed(
            GROUP,
            "process group that seccomp keeps closed",
            SECCOMP_HINT,
        ),
        _ if open.is_none() => UNASKED,
        Dimension::FsRead => closed(READ, "Landlock", LANDLOCK_HINT),
        Dimension::FsWrite => closed(WRITE, "Landlock", LANDLOCK_HINT),
        Dimension::FsMetadata => Enforced::Partial {
            mechanism: "file permissions, seccomp for set-id bits",
            gap: "stat and inotify, and chmod, utimes and setxattr on the user's own files, reach outside the roots",
        },
        Dimension::DenyHoles => Enforced::None {
            reason: "Landlock cannot subtract from a root",
            hint: findings.no_session,
        },
        Dimension::NetworkIp | Dimension::NetworkUnix => match confinement.network {
            Network::None if name == Dimension::NetworkIp => {
                closed(INET, "seccomp, Landlock", SECCOMP_HINT)
            }
            Network::None => closed(UNIX, "seccomp, Landlock scope", SECCOMP_HINT),
            Network::Loopback => Enforced::None {
                reason: "a loopback of its own takes a network namespace",
                hint: findings.no_session,
            },
            Network::Host => Enforced::None {
                reason: "the grant opens it",
                hint: "set network = \"none\"",
            },
        },
        Dimension::CrossProcess if findings.landlock < 6 => Enforced::Partial {
            mechanism: "seccomp",
            gap: "signals to processes of the same user",
        },
        Dimension::CrossProcess => closed(SIGNAL, "Landlock scope, seccomp", LANDLOCK_HINT),
        Dimension::Privileges if findings.root => Enforced::Partial {
            mechanism: "no_new_privs, no capabilities, securebits",
            gap: "the user id 0 keeps its rights over files",
        },
        Dimension::Privileges => closed(PRIVILEGES, "no_new_privs, no capabilities", SECCOMP_HINT),
        Dimension::Syscalls => closed(CALLS, "seccomp", SECCOMP_HINT),
        Dimension::Terminal => full("session of its own, pipes, seccomp"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOUND: Findings = Findings {
        tier: Tier::B,
        forced: false,
        no_session: TIER_HINT,
        landlock: 7,
        open: Ok(0),
        root: false,
    };

    fn unmet(findings: Findings, confinement: &Confinement) -> String {
        report(&findings, confinement).unmet()
    }

    #[test]
    fn a_sound_host_meets_the_demand() {
        let confinement = Confinement::default();
        assert_eq!(unmet(SOUND, &confinement), "");
        let open = Confinement {
            network: Network::Host,
            ..confinement.clone()
        };
        assert_eq!(unmet(SOUND, &open), "");
        let loopback = Confinement {
            network: Network::Loopback,
            ..confinement
        };
        assert_eq!(unmet(SOUND, &loopback), "network-ip, network-unix");
    }

    #[test]
    fn each_thing_the_probe_could_do_is_a_demand_not_met() {
        let names = [
            (READ, "fs-read"),
            (WRITE, "fs-write"),
            (INET, "network-ip"),
            (UNIX, "network-unix"),
            (SIGNAL, "cross-process"),
            (PRIVILEGES, "privileges"),
            (CALLS, "syscalls"),
            (GROUP, "tree-kill"),
        ];
        for (bit, name) in names {
            let findings = Findings {
                open: Ok(bit),
                ..SOUND
            };
            assert_eq!(unmet(findings, &Confinement::default()), name);
        }
    }

    #[test]
    fn an_old_landlock_root_and_a_failed_probe_are_refused() {
        let confinement = Confinement::default();
        let old = Findings {
            landlock: 5,
            ..SOUND
        };
        assert_eq!(unmet(old, &confinement), "cross-process");
        let root = Findings {
            root: true,
            ..SOUND
        };
        assert_eq!(unmet(root, &confinement), "privileges");
        let failed = Findings {
            open: Err("a hint"),
            ..SOUND
        };
        let report = report(&failed, &confinement);
        assert!(!report.admits(Sandbox::Required));
        let hinted = |(_, level): &(_, Enforced)| matches!(level, Enforced::None { hint, .. } if *hint == "a hint");
        assert!(report.dimensions().iter().all(hinted), "{report:?}");
    }

    #[test]
    fn no_sandbox_is_not_understated() {
        let none = Confinement {
            sandbox: Sandbox::None,
            ..Confinement::default()
        };
        let report = report(&SOUND, &none);
        let level = |name| match report.dimensions().iter().find(|(known, _)| *known == name) {
            Some((_, Enforced::Full { .. })) => "full",
            Some((_, Enforced::Partial { .. })) => "partial",
            _ => "none",
        };
        let partial = [
            Dimension::TreeKill,
            Dimension::Processes,
            Dimension::Memory,
            Dimension::CpuTime,
        ];
        for name in partial {
            assert_eq!(level(name), "partial", "{name}");
        }
        assert_eq!(level(Dimension::WallClock), "full");
        for name in [
            Dimension::FsRead,
            Dimension::Privileges,
            Dimension::Terminal,
        ] {
            assert_eq!(level(name), "none", "{name}");
        }
        assert!(report.admits(Sandbox::None));
    }
}

//! The report about one confinement, made from the findings of a probe.

use super::findings::{
    CALLS, Findings, GROUP, INET, LANDLOCK_HINT, MARK_HINT, PRIVILEGES, READ, SECCOMP_HINT, SIGNAL,
    UNIX, WRITE,
};
use super::{owners, write_volume};
use crate::confinement::{Confinement, Dimension, Enforced, Enforcement, Network, Sandbox, Tier};
use crate::sandbox::sys::linux::cgroup::Controllers;

/// Returns the report about `confinement`.
pub(crate) fn report(findings: &Findings, confinement: &Confinement) -> Enforcement {
    let tier = findings.tier;
    let breaches = match findings.breaches {
        _ if confinement.sandbox == Sandbox::None => None,
        Ok(breaches) => Some(breaches),
        Err(hint) if findings.tier_required => {
            let reason = "the requested tier is not available on this host";
            return Enforcement::none(confinement, reason, hint).refusing();
        }
        Err(hint) => {
            let reason = "the sandbox probe could not start";
            return Enforcement::none(confinement, reason, hint);
        }
    };
    let levels = Dimension::ALL.map(|name| match (tier, breaches) {
        (Tier::A, Some(breaches)) => (name, in_session(name, findings, breaches, confinement)),
        _ => (name, level(name, findings, breaches, confinement)),
    });
    let mut report = Enforcement::new(confinement, levels.into());
    // Outside a session the rights of the user id 0 over files reach every file that Landlock does not cover, and
    // its metadata everywhere.
    if findings.keeps_root && tier != Tier::A && breaches.is_some() {
        report = report.refusing();
    }
    match breaches {
        Some(_) => report.in_tier(tier),
        None => report,
    }
}

/// The reason of a dimension in which the self-test found a breach.
const BREACHED: &str = "the self-test was not blocked";

/// Returns the level of one dimension in a session. A dimension in which a session adds nothing
/// has the level of the other tiers.
fn in_session(
    name: Dimension,
    findings: &Findings,
    breaches: u8,
    confinement: &Confinement,
) -> Enforced {
    let unless = |breach, mechanism| match breaches & breach {
        0 => Enforced::Full { mechanism },
        _ => Enforced::None {
            reason: BREACHED,
            hint: SECCOMP_HINT,
        },
    };
    let always = |mechanism| Enforced::Full { mechanism };
    // Where the system has Landlock, a ruleset is installed in addition to the root.
    let root = match findings.landlock {
        0 => "private root",
        _ => "private root, Landlock",
    };
    match (name, confinement.network) {
        (Dimension::FsRead, _) => unless(READ, root),
        (Dimension::FsWrite, _) => unless(WRITE, root),
        (Dimension::FsMetadata, _) => unless(READ, "private root"),
        (Dimension::DenyHoles, _) => unless(
            READ,
            "mounts over the denied paths, compared before each child and watched",
        ),
        (Dimension::NetworkIp, Network::None) => unless(INET, "network namespace, seccomp"),
        (Dimension::NetworkIp, Network::Loopback) => always("network namespace"),
        (Dimension::NetworkUnix, Network::None | Network::Loopback) => {
            unless(UNIX, "private root, seccomp")
        }
        (Dimension::CrossProcess, _) => unless(SIGNAL, "pid namespace, seccomp"),
        (Dimension::TreeKill, _) if findings.landlock >= 6 => {
            unless(GROUP | SIGNAL, DOMAIN_MECHANISM)
        }
        (Dimension::TreeKill, _) => unless(GROUP, TREE_MECHANISM),
        // The kernel does not apply this limit to the user id 0.
        (Dimension::Processes, _) if !findings.keeps_root => {
            always("RLIMIT_NPROC in a user namespace")
        }
        _ => level(name, findings, Some(breaches), confinement),
    }
}

/// Whether a confined process can leave the process group of its tree's leader.
fn tier_has_free_groups(findings: &Findings) -> bool {
    findings.tier != Tier::C && findings.landlock >= 6
}

const DOMAIN_MECHANISM: &str = "a Landlock domain for each tree";
const TREE_MECHANISM: &str = "process group, which seccomp prevents leaving";

const NOT_REQUESTED: Enforced = Enforced::None {
    reason: "the grant says sandbox = \"none\"",
    hint: "set sandbox = \"required\"",
};

/// Returns the level of one dimension outside a session; `breaches` is none where the grant
/// requests no confinement.
fn level(
    name: Dimension,
    findings: &Findings,
    breaches: Option<u8>,
    confinement: &Confinement,
) -> Enforced {
    let always = |mechanism| Enforced::Full { mechanism };
    let unless = |breach, mechanism, hint| match breaches {
        None => NOT_REQUESTED,
        Some(breaches) if breaches & breach == 0 => Enforced::Full { mechanism },
        Some(_) => Enforced::None {
            reason: BREACHED,
            hint,
        },
    };
    // Samples cover the process group, which an unconfined process can leave, and what has the tree's mark.
    let can_leave_group = breaches.is_some() && tier_has_free_groups(findings);
    let sampled = |mechanism, confined, unconfined| match findings.sampling {
        Ok(()) if can_leave_group && !findings.can_mark => Enforced::None {
            reason: "a process that leaves its group is not found: the host's limit on file locks leaves no mark for it",
            hint: MARK_HINT,
        },
        Ok(()) => Enforced::Partial {
            mechanism,
            gap: breaches.map_or(unconfined, |_| confined),
        },
        Err(hint) => Enforced::None {
            reason: "/proc does not show the children to the host",
            hint,
        },
    };
    // A process that is not confined may write to files of its own user, its cgroup's among them.
    let by_cgroup = |has: fn(&Controllers) -> bool, mechanism, sampled| match &findings.cgroups {
        Ok(controllers) if has(controllers) && breaches.is_none() && findings.owns_cgroups => {
            Enforced::Partial {
                mechanism,
                gap: "the child may leave its cgroup, which belongs to its own user",
            }
        }
        Ok(controllers) if has(controllers) => Enforced::Full { mechanism },
        _ => sampled,
    };
    match name {
        Dimension::WallClock | Dimension::Output => always("the registry"),
        Dimension::Descriptors => always("close_range"),
        Dimension::Environment => always("built from the grant"),
        Dimension::Processes => by_cgroup(
            |it| it.tasks,
            "a pids cgroup for each child",
            match findings.keeps_root {
                // The kernel does not apply RLIMIT_NPROC to the user id 0: only the samples are left.
                true => sampled(
                    "counted by the registry",
                    "sampled: a burst can exceed the limit",
                    "sampled: a burst, or a process that leaves the group, can exceed the limit",
                ),
                false => sampled(
                    "RLIMIT_NPROC of the user, counted by the registry",
                    "sampled: a burst can exceed the limit by about 1024 tasks",
                    "sampled: a burst, or a process that leaves the group, can exceed the limit by about 1024 tasks",
                ),
            },
        ),
        Dimension::Memory => by_cgroup(
            |it| it.memory,
            "a memory cgroup for each child",
            sampled(
                "RLIMIT_DATA, sampled",
                "between samples the limit holds per process",
                "between samples, and for a process that leaves the group, the limit holds per process",
            ),
        ),
        Dimension::CpuTime => by_cgroup(
            |it| it.cpu,
            "RLIMIT_CPU, a cgroup's count of the tree's time",
            sampled(
                "RLIMIT_CPU, sampled",
                "between samples the limit holds per process",
                "between samples, and for a process that leaves the group, the limit holds per process",
            ),
        ),
        Dimension::TreeKill if breaches.is_none() => Enforced::Partial {
            mechanism: "process group",
            gap: "a descendant can leave the group by setsid",
        },
        Dimension::TreeKill if findings.tier == Tier::B && findings.landlock >= 6 => {
            unless(GROUP | SIGNAL, DOMAIN_MECHANISM, LANDLOCK_HINT)
        }
        Dimension::TreeKill => unless(GROUP, TREE_MECHANISM, SECCOMP_HINT),
        Dimension::Owners => owners::level(findings.users, breaches.map(|_| findings.tier)),
        Dimension::WriteVolume => write_volume::level(confinement, breaches.map(|_| findings.tier)),
        _ if breaches.is_none() => NOT_REQUESTED,
        Dimension::FsRead => unless(READ, "Landlock", LANDLOCK_HINT),
        Dimension::FsWrite => unless(WRITE, "Landlock", LANDLOCK_HINT),
        Dimension::FsMetadata => Enforced::Partial {
            mechanism: "file permissions, seccomp for set-id bits, attributes and inotify",
            gap: "stat, and chmod and utimes on the user's own files, reach outside the roots",
        },
        Dimension::DenyHoles => Enforced::None {
            reason: "Landlock cannot exclude a path from a root",
            hint: findings.session_hint,
        },
        Dimension::NetworkIp | Dimension::NetworkUnix => match confinement.network {
            Network::None if name == Dimension::NetworkIp => {
                unless(INET, "seccomp, Landlock", SECCOMP_HINT)
            }
            Network::None => unless(UNIX, "seccomp, Landlock scope", SECCOMP_HINT),
            Network::Loopback => Enforced::None {
                reason: "a private loopback interface requires a network namespace",
                hint: findings.session_hint,
            },
            Network::Host => Enforced::None {
                reason: "the grant allows the host's network",
                hint: "set network = \"none\"",
            },
        },
        Dimension::CrossProcess if findings.landlock < 6 => Enforced::Partial {
            mechanism: "seccomp",
            gap: "signals reach other processes of the same user",
        },
        Dimension::CrossProcess => unless(SIGNAL, "Landlock scope, seccomp", LANDLOCK_HINT),
        Dimension::Privileges if findings.keeps_root && findings.tier != Tier::A => {
            Enforced::None {
                reason: "the user id 0 keeps its rights over files, and outside a session these reach every file",
                hint: "run children as another user: omit --run-as, or name one that is not root",
            }
        }
        Dimension::Privileges if findings.keeps_root => Enforced::Partial {
            mechanism: "no_new_privs, no capabilities, securebits",
            gap: "the user id 0 keeps its rights over files",
        },
        Dimension::Privileges => unless(PRIVILEGES, "no_new_privs, no capabilities", SECCOMP_HINT),
        Dimension::Syscalls => unless(CALLS, "seccomp", SECCOMP_HINT),
        Dimension::Terminal => always("setsid, pipes, seccomp"),
    }
}

#[cfg(test)]
mod tests;

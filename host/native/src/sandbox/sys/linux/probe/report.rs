//! The report: what the probe has found, for one confinement.

use super::findings::{
    CALLS, Findings, GROUP, INET, LANDLOCK_HINT, PRIVILEGES, READ, SECCOMP_HINT, SIGNAL, UNIX,
    WRITE,
};
use crate::confinement::{Confinement, Dimension, Enforced, Enforcement, Network, Sandbox, Tier};

/// Returns the report for `confinement`.
pub(crate) fn report(findings: &Findings, confinement: &Confinement) -> Enforcement {
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
    // It stands behind the root, where the system has it.
    let root = match findings.landlock {
        0 => "private root",
        _ => "private root, Landlock",
    };
    match (name, confinement.network) {
        (Dimension::FsRead, _) => closed(READ, root),
        (Dimension::FsWrite, _) => closed(WRITE, root),
        (Dimension::FsMetadata, _) => closed(READ, "private root"),
        (Dimension::DenyHoles, _) => closed(READ, "mounted over"),
        (Dimension::NetworkIp, Network::None) => closed(INET, "network namespace, seccomp"),
        (Dimension::NetworkIp, Network::Loopback) => closed(0, "network namespace"),
        (Dimension::NetworkUnix, Network::None | Network::Loopback) => {
            closed(UNIX, "private root, seccomp")
        }
        (Dimension::CrossProcess, _) => closed(SIGNAL, "pid namespace, seccomp"),
        (Dimension::TreeKill, _) => closed(GROUP, "process group that seccomp keeps closed"),
        // The kernel spares the user id 0 that limit: the samples are left.
        (Dimension::Processes, _) if !findings.root => {
            closed(0, "RLIMIT_NPROC in a user namespace")
        }
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
mod tests;

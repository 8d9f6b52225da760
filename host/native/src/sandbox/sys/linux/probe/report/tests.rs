//! How each finding affects the report.

use super::*;
use crate::confinement::FsRoot;
use crate::sandbox::sys::linux::probe::findings::SESSION_HINT;
use crate::sandbox::sys::linux::probe::owners::Users;

const NO_BREACH: Findings = Findings {
    tier: Tier::B,
    tier_required: false,
    session_hint: SESSION_HINT,
    landlock: 7,
    breaches: Ok(0),
    keeps_root: false,
    cgroups: Err("a hint"),
    owns_cgroups: false,
    users: Users::One,
    sampling: Ok(()),
    can_mark: true,
};

fn unmet(findings: Findings, confinement: &Confinement) -> String {
    report(&findings, confinement).unmet()
}

#[test]
fn a_host_without_breaches_meets_the_demand() {
    let confinement = Confinement::default();
    assert_eq!(unmet(NO_BREACH, &confinement), "");
    let open = Confinement {
        network: Network::Host,
        ..confinement.clone()
    };
    assert_eq!(unmet(NO_BREACH, &open), "");
    let loopback = Confinement {
        network: Network::Loopback,
        ..confinement
    };
    assert_eq!(unmet(NO_BREACH, &loopback), "network-ip, network-unix");
}

/// Landlock cannot exclude a path from a root.
#[test]
fn denied_paths_are_an_unmet_demand_outside_a_session() {
    let root = FsRoot::resolve("/").expect("it exists");
    let mut denying = Confinement::default();
    denying.fs.deny.push(root);
    assert_eq!(unmet(NO_BREACH, &denying), "deny-holes");
    assert!(report(&NO_BREACH, &denying).admits(Sandbox::BestEffort));
    let session = Findings {
        tier: Tier::A,
        ..NO_BREACH
    };
    assert_eq!(unmet(session, &denying), "");
}

#[test]
fn each_breach_is_an_unmet_demand() {
    let names = [
        (READ, "fs-read"),
        (WRITE, "fs-write"),
        (INET, "network-ip"),
        (UNIX, "network-unix"),
        (SIGNAL, "cross-process, tree-kill"),
        (PRIVILEGES, "privileges"),
        (CALLS, "syscalls"),
        (GROUP, "tree-kill"),
    ];
    for (bit, name) in names {
        let findings = Findings {
            breaches: Ok(bit),
            ..NO_BREACH
        };
        assert_eq!(unmet(findings, &Confinement::default()), name);
    }
}

#[test]
fn an_old_landlock_a_root_user_and_a_failed_probe_are_refused() {
    let confinement = Confinement::default();
    let old = Findings {
        landlock: 5,
        ..NO_BREACH
    };
    assert_eq!(unmet(old, &confinement), "cross-process");
    let root = Findings {
        keeps_root: true,
        ..NO_BREACH
    };
    assert_eq!(unmet(root, &confinement), "privileges");
    let failed = Findings {
        breaches: Err("a hint"),
        ..NO_BREACH
    };
    let report = report(&failed, &confinement);
    assert!(!report.admits(Sandbox::Required));
    let hinted = |(_, level): &(_, Enforced)| matches!(level, Enforced::None { hint, .. } if *hint == "a hint");
    assert!(report.dimensions().iter().all(hinted), "{report:?}");
}

#[test]
fn an_unavailable_tier_is_refused_where_it_is_required_even_for_best_effort() {
    for (tier_required, best_effort) in [(false, true), (true, false)] {
        let unavailable = Findings {
            tier_required,
            breaches: Err("a hint"),
            ..NO_BREACH
        };
        let report = report(&unavailable, &Confinement::default());
        assert!(!report.admits(Sandbox::Required));
        assert_eq!(report.admits(Sandbox::BestEffort), best_effort);
    }
}

#[test]
fn without_a_sandbox_the_limits_still_count_as_partial() {
    let none = Confinement {
        sandbox: Sandbox::None,
        ..Confinement::default()
    };
    let report = report(&NO_BREACH, &none);
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

#[test]
fn a_session_meets_the_demand_without_landlock() {
    let session = Findings {
        tier: Tier::A,
        ..NO_BREACH
    };
    for landlock in [0, 5] {
        let old = Findings {
            landlock,
            ..session
        };
        assert_eq!(unmet(old, &Confinement::default()), "");
        let report = report(&old, &Confinement::default());
        let names_landlock = |(_, level): &(_, Enforced)| matches!(level, Enforced::Full { mechanism } if mechanism.contains("Landlock"));
        assert_eq!(report.dimensions().iter().any(names_landlock), landlock > 0);
    }
}

#[test]
fn the_limit_on_tasks_is_exact_in_a_session_except_for_root() {
    for (tier, root, exact) in [
        (Tier::A, false, true),
        (Tier::A, true, false),
        (Tier::B, false, false),
    ] {
        let findings = Findings {
            tier,
            keeps_root: root,
            ..NO_BREACH
        };
        let report = report(&findings, &Confinement::default());
        let is_exact = |(name, level): &(Dimension, Enforced)| {
            *name == Dimension::Processes && matches!(level, Enforced::Full { .. })
        };
        assert_eq!(
            report.dimensions().iter().any(is_exact),
            exact,
            "{tier} {root}"
        );
    }
}

#[test]
fn limits_that_only_samples_enforce_are_not_enforced_where_proc_shows_no_children() {
    for (tier, dimensions) in [
        (Tier::A, "memory, cpu-time"),
        (Tier::B, "processes, memory, cpu-time"),
    ] {
        let blind = Findings {
            tier,
            sampling: Err("a hint"),
            ..NO_BREACH
        };
        assert_eq!(unmet(blind, &Confinement::default()), dimensions);
    }
}

/// A process that has left the group of its leader, as `setsid` does, is in no sample then.
#[test]
fn limits_that_only_samples_enforce_are_not_enforced_where_a_tree_has_no_mark() {
    let without = |tier, landlock, cgroups| Findings {
        tier,
        landlock,
        cgroups,
        can_mark: false,
        ..NO_BREACH
    };
    let none = Err("a hint");
    let all = Ok(Controllers {
        memory: true,
        tasks: true,
        cpu: true,
    });
    let confinement = Confinement::default();
    let sampled = unmet(without(Tier::B, 7, none), &confinement);
    assert_eq!(sampled, "processes, memory, cpu-time");
    let in_session = unmet(without(Tier::A, 7, none), &confinement);
    assert_eq!(in_session, "memory, cpu-time");
    assert_eq!(unmet(without(Tier::B, 7, all), &confinement), "");
    // The filter keeps the tree in its group.
    assert_eq!(unmet(without(Tier::A, 5, none), &confinement), "");
    let unconfined = Confinement {
        sandbox: Sandbox::None,
        ..confinement
    };
    let report = report(&without(Tier::B, 7, none), &unconfined);
    let (_, level) = report
        .dimensions()
        .iter()
        .find(|(name, _)| *name == Dimension::Memory)
        .expect("each dimension has a level");
    assert!(matches!(level, Enforced::Partial { .. }), "{level:?}");
}

/// A child that is not confined may write to the files of its own user.
#[test]
fn limits_are_full_in_a_cgroup_that_the_child_cannot_leave() {
    let limits = [Dimension::Processes, Dimension::Memory, Dimension::CpuTime];
    for (sandbox, owns_cgroups, is_full) in [
        (Sandbox::Required, false, true),
        (Sandbox::Required, true, true),
        (Sandbox::None, false, true),
        (Sandbox::None, true, false),
    ] {
        let findings = Findings {
            cgroups: Ok(Controllers {
                memory: true,
                tasks: true,
                cpu: true,
            }),
            owns_cgroups,
            ..NO_BREACH
        };
        let confinement = Confinement {
            sandbox,
            ..Confinement::default()
        };
        let report = report(&findings, &confinement);
        for (name, level) in report.dimensions() {
            let matches = match level {
                Enforced::Full { .. } => is_full,
                Enforced::Partial { gap, .. } => !is_full && gap.contains("leave its cgroup"),
                Enforced::None { .. } => false,
            };
            assert!(
                matches || !limits.contains(name),
                "{sandbox:?}, {owns_cgroups}: {name} {level:?}"
            );
        }
    }
}

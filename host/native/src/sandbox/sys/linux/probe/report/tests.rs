//! What each finding makes of the report.

use super::*;
use crate::sandbox::sys::linux::probe::findings::TIER_HINT;

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

#[test]
fn a_session_needs_no_landlock() {
    let session = Findings {
        tier: Tier::A,
        ..SOUND
    };
    for landlock in [0, 5] {
        let old = Findings {
            landlock,
            ..session
        };
        assert_eq!(unmet(old, &Confinement::default()), "");
        let report = report(&old, &Confinement::default());
        let says = |(_, level): &(_, Enforced)| matches!(level, Enforced::Full { mechanism } if mechanism.contains("Landlock"));
        assert_eq!(report.dimensions().iter().any(says), landlock > 0);
    }
}

#[test]
fn the_cap_on_tasks_is_exact_in_a_session_but_for_root() {
    for (tier, root, exact) in [
        (Tier::A, false, true),
        (Tier::A, true, false),
        (Tier::B, false, false),
    ] {
        let findings = Findings {
            tier,
            root,
            ..SOUND
        };
        let report = report(&findings, &Confinement::default());
        let says = |(name, level): &(Dimension, Enforced)| {
            *name == Dimension::Processes && matches!(level, Enforced::Full { .. })
        };
        assert_eq!(report.dimensions().iter().any(says), exact, "{tier} {root}");
    }
}

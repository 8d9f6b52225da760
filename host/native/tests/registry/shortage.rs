//! A shortage is a state of the moment: it is reported as one, nothing of it is remembered, and no
//! weaker confinement is chosen because of it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use capspawn_native::launch::Launcher as _;
use capspawn_native::sandbox::{Confinement, NativeLauncher};
use capspawn_native::{Command, EventKind, ExitStatus, Registry, Shortage, SpawnError};
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, setrlimit};

use crate::support::*;

const GRANT: &str = r#"
version = 1
[[component.required.command]]
name = "true"
program = "/bin/true"
[[component.lenient.command]]
name = "true"
program = "/bin/true"
sandbox = "best-effort"
"#;

/// Returns the tier that this host has while it lacks nothing.
fn best_tier() -> Option<capspawn_native::sandbox::Tier> {
    let report = NativeLauncher::new().enforcement(&Confinement::default());
    report.tier()
}

#[test]
fn a_first_probe_that_is_short_of_descriptors_leads_to_no_weaker_tier() {
    if !is_alone(test_name!()) {
        return;
    }
    let grants = load(GRANT);
    let best = best_tier();
    let whole = getrlimit(Resource::Nofile);
    for name in ["required", "lenient"] {
        let mut refusals = 0;
        for more in 0.. {
            let launcher = Arc::new(NativeLauncher::new());
            let registry = build(Registry::builder().launcher(Arc::clone(&launcher) as _));
            let guest = registry.guest(grants.component(name), "");
            let low = Rlimit {
                current: Some(descriptors() as u64 + more),
                ..whole
            };
            setrlimit(Resource::Nofile, low).expect("lower is possible");
            let started = guest.spawn(&Command::new("true"));
            setrlimit(Resource::Nofile, whole).expect("the hard limit stayed");
            match &started {
                Err(SpawnError::Shortage(Shortage::Descriptors)) => refusals += 1,
                Ok(_) => {}
                Err(error) => panic!("{name}, {more} more: {error}"),
            }
            let again = guest
                .spawn(&Command::new("true"))
                .expect("nothing is short");
            assert_eq!(ended(&again), ExitStatus::Exited(0));
            let report = launcher.enforcement(&Confinement::default());
            assert_eq!(report.tier(), best, "{name}, {more} more");
            if started.is_ok() {
                break;
            }
        }
        assert!(refusals > 3, "{refusals} refusals");
    }
}

/// Kills whatever this process starts, until told to stop.
#[test]
fn a_first_probe_that_is_killed_leads_to_no_weaker_tier() {
    if !is_alone(test_name!()) {
        return;
    }
    let grants = load(GRANT);
    let best = best_tier();
    for _ in 0..10 {
        let launcher = Arc::new(NativeLauncher::new());
        let registry = build(Registry::builder().launcher(Arc::clone(&launcher) as _));
        let guest = registry.guest(grants.component("lenient"), "");
        let kills = AtomicBool::new(true);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while kills.load(Ordering::Relaxed) {
                    for pid in children() {
                        let pid = Pid::from_raw(pid.cast_signed()).expect("a process id");
                        let _ = kill_process(pid, Signal::KILL);
                    }
                }
            });
            for _ in 0..3 {
                let _ = guest.spawn(&Command::new("true"));
            }
            kills.store(false, Ordering::Relaxed);
        });
        let again = guest
            .spawn(&Command::new("true"))
            .expect("nothing is short");
        assert_eq!(ended(&again), ExitStatus::Exited(0));
        let report = launcher.enforcement(&Confinement::default());
        assert_eq!(report.tier(), best);
    }
}

#[test]
fn the_operator_learns_what_the_host_is_short_of() {
    if !is_alone(test_name!()) {
        return;
    }
    let events = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&events);
    let registry = build(builder().on_event(move |event| {
        kept.lock().expect("no panic").push(event.kind.clone());
    }));
    let guest = registry.guest(grant("test", ""), "");
    let whole = getrlimit(Resource::Nofile);
    let low = Rlimit {
        current: Some(3),
        ..whole
    };
    setrlimit(Resource::Nofile, low).expect("lower is possible");
    let refused = guest.spawn(&sh("true"));
    setrlimit(Resource::Nofile, whole).expect("the hard limit stayed");
    assert!(
        matches!(refused, Err(SpawnError::Shortage(Shortage::Descriptors))),
        "{refused:?}"
    );
    let events = events.lock().expect("no panic");
    let [
        EventKind::Quota {
            quota, shortage, ..
        },
    ] = &events[..]
    else {
        panic!("{events:?}");
    };
    assert_eq!(quota, "host capacity");
    let shortage = shortage.as_deref().expect("what is short");
    assert!(shortage.contains("RLIMIT_NOFILE"), "{shortage}");
}

/// No text about a shortage tells the operator to confine children less.
#[test]
fn no_remedy_of_a_shortage_advises_less_safety() {
    for shortage in [
        Shortage::Descriptors,
        Shortage::MachineDescriptors,
        Shortage::DescriptorsInFlight,
        Shortage::Processes,
        Shortage::Memory,
        Shortage::Namespaces,
        Shortage::Watches,
        Shortage::Sessions,
        Shortage::UserIds,
        Shortage::Killed,
        Shortage::Time,
    ] {
        let text = SpawnError::Shortage(shortage).to_string();
        for word in ["best-effort", "\"none\"", "tier", "sandbox"] {
            assert!(!text.contains(word), "{text}");
        }
    }
}

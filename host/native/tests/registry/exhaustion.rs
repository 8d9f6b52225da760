//! A host that has run out of descriptors reports that, and does not blame the
//! request.

use capspawn_native::{
    Command, EventKind, ExitStatus, Guest, KillReason, Registry, Shortage, SpawnError,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::support::*;

/// A grant of any program, and of one by its name.
const GRANT: &str = r#"
version = 1
[defaults]
env = { set = { PATH = "/usr/bin:/bin" } }
[component.test]
[[component.test.command]]
name = "listed"
program = "/bin/true"
[[component.test.command]]
name = "*"
program = "*"
"#;

/// The limit rises by one descriptor at a time, so that a start fails at each
/// step that opens one.
#[test]
fn a_host_short_of_descriptors_is_at_capacity_at_every_step() {
    if !is_alone(test_name!()) {
        return;
    }
    let grants = load(GRANT);
    let registry = registry();
    let guest = registry.guest(grants.component("test"), "");
    // The launcher keeps a watchdog, or the two processes of a session.
    let kept = kept(&guest, &registry);
    let whole = getrlimit(Resource::Nofile);
    for name in ["listed", "true", "/bin/true"] {
        let command = Command::new(name);
        // A first child, so that nothing is opened for the first time below.
        let start = || guest.spawn(&command);
        ended(&start().expect("descriptors are left"));
        eventually("free slots", || registry.is_empty());
        let mut refusals = 0;
        for limit in 3.. {
            let low = Rlimit {
                current: Some(limit),
                ..whole
            };
            setrlimit(Resource::Nofile, low).expect("lower is possible");
            let status = start().map(|child| ended(&child));
            setrlimit(Resource::Nofile, whole).expect("the hard limit stayed");
            match status {
                Err(SpawnError::Shortage(Shortage::Descriptors)) => refusals += 1,
                // The child started, and the registry could not watch it.
                Ok(ExitStatus::Killed(KillReason::Host)) => {}
                Ok(status) => {
                    assert_eq!(status, ExitStatus::Exited(0));
                    break;
                }
                Err(error) => panic!("{name}, below {limit}: {error}"),
            }
        }
        assert!(refusals > 3, "{refusals} refusals");
        eventually("free slots", || registry.is_empty());
    }
    // Servers of a session that two children had at once stay free, four at most.
    let with_servers = kept..kept + 4;
    eventually("no child but the kept ones", || {
        with_servers.contains(&children().len())
    });
}

/// The number of children that this process keeps after one of `guest` has
/// ended.
fn kept(guest: &Guest, registry: &Registry) -> usize {
    ended(&guest.spawn(&Command::new("true")).expect("it starts"));
    eventually("free slots", || registry.is_empty());
    children().len()
}

/// The descriptors run out between the start of a child and the moment at which
/// the registry watches it: the descriptor for that is reserved before.
#[test]
fn a_child_that_was_started_is_watched_even_if_no_descriptor_is_left() {
    if !is_alone(test_name!()) {
        return;
    }
    let whole = getrlimit(Resource::Nofile);
    let registry = Registry::builder()
        .on_event(move |event| {
            if matches!(event.kind, EventKind::Spawn { .. }) {
                let none = Rlimit {
                    current: Some(3),
                    ..whole
                };
                setrlimit(Resource::Nofile, none).expect("lower is possible");
            }
        })
        .build()
        .expect("the registry starts");
    let guest = registry.guest(grant("test", ""), "");
    for (script, kills, expected) in [
        ("exit 7", false, ExitStatus::Exited(7)),
        (
            "exec sleep 600",
            true,
            ExitStatus::Killed(KillReason::Requested),
        ),
    ] {
        let child = guest.spawn(&sh(script)).expect("it starts");
        if kills {
            child.kill(std::time::Duration::ZERO);
        }
        let status = ended(&child);
        setrlimit(Resource::Nofile, whole).expect("the hard limit stayed");
        assert_eq!(status, expected);
    }
    // These children are not confined, so there is no session.
    eventually("no child but the watchdog", || children().len() == 1);
}

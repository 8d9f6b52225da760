//! A host without descriptors says so, and not that the request was wrong.

use std::path::Path;

use capspawn_native::grant::Grants;
use capspawn_native::{
    Command, EventKind, ExitStatus, Guest, KillReason, Quota, Registry, SpawnError,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::support::*;

/// Any program, and one by name, in the child's file system.
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

/// With one descriptor more at a time, a start fails at each step that takes one.
#[test]
fn a_host_short_of_descriptors_is_at_capacity_at_every_step() {
    if !is_alone("exhaustion::a_host_short_of_descriptors_is_at_capacity_at_every_step") {
        return;
    }
    let grants = Grants::from_toml_str(GRANT, Path::new("/")).expect("the grant loads");
    let registry = registry();
    let guest = registry.guest(grants.component("test"), "");
    // What is kept between children: a watcher, or a session's two processes.
    let kept = kept(&guest, &registry);
    let whole = getrlimit(Resource::Nofile);
    for name in ["listed", "true", "/bin/true"] {
        let command = Command::new(name);
        // What is made once is there, and what ended is gone.
        let start = || guest.spawn(&command);
        ended(&start().expect("there are descriptors"));
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
                Err(SpawnError::Quota(Quota::HostCapacity)) => refusals += 1,
                // It ran, and could not be watched.
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
    eventually("no child but what is kept", || children() == kept);
}

/// The children of this process once one of `guest` has come and gone.
fn kept(guest: &Guest, registry: &Registry) -> usize {
    ended(&guest.spawn(&Command::new("true")).expect("it starts"));
    eventually("free slots", || registry.is_empty());
    children()
}

/// The descriptors run out between its start and the first look at it: what that takes is had before.
#[test]
fn a_child_that_was_started_is_watched_whatever_descriptors_are_left() {
    if !is_alone("exhaustion::a_child_that_was_started_is_watched_whatever_descriptors_are_left") {
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
        .expect("a thread can be had");
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
    // These children are not confined, so that there is no session.
    eventually("no child but the watcher", || children() == 1);
}

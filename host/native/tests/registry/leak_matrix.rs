//! Every way in which a Rust program can leave a child, with every kind of
//! process tree: afterwards no process, no descriptor and no slot is left.
//!
//! The ways that need a WebAssembly guest are in `tests/tests/leaks.rs`.

use std::process;
use std::thread;
use std::time::Duration;

use capspawn_native::{Child, Command, ExitStatus, Guest, KillReason, Registry};

use test_kit::{TREES, Tree, grant_toml, processes};

use crate::support::*;

/// A running tree, and the values that keep it alive.
struct Held {
    registry: Registry,
    guest: Guest,
    child: Child,
    marker: String,
}

type Ending = (&'static str, fn(Held));

const ENDINGS: [Ending; 10] = [
    ("handle dropped", |held| drop(held.child)),
    ("dropped on a thread", |held| {
        let dropped = thread::spawn(move || drop(held.child));
        dropped.join().expect("a drop does not panic");
    }),
    ("released", |held| {
        held.child.release_blocking();
    }),
    ("killed", |held| {
        held.child.kill(Duration::ZERO);
        ended(&held.child);
    }),
    ("guest dropped before the handle", |held| {
        drop(held.guest);
        ended(&held.child);
    }),
    ("registry shut down", |held| {
        assert!(held.registry.shutdown(TEST_TIMEOUT));
    }),
    ("registry dropped first", |held| {
        drop(held.registry);
        drop((held.guest, held.child));
    }),
    ("caller's runtime dropped", |held| {
        let runtime = bare_runtime();
        runtime.spawn(async move {
            held.child.wait(None).await;
            std::future::pending::<()>().await;
        });
        runtime.block_on(tokio::task::yield_now());
        drop(runtime);
    }),
    ("detached, and the registry dropped", |held| {
        held.child.detach().expect("the grant allows it");
    }),
    ("detached, attached and dropped", |held| {
        let key = held.child.detach().expect("the grant allows it");
        drop(held.child);
        drop(held.guest.attach(&key).expect("it was detached"));
    }),
];

fn start(tree: Tree, ending: &str) -> Held {
    let name = format!("native-{}-{}-{ending}", process::id(), tree.name);
    let marker: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    let terms = "detach = { allow = true }";
    let toml = grant_toml("test", &marker, terms);
    let grants = load(&toml);
    let registry = registry();
    let guest = registry.guest(grants.component("test"), "");
    let script = Command::new("sh").args(["-c", tree.script]);
    let child = guest.spawn(&script).expect("the grant allows it");
    eventually(tree.name, || stdout(&child) == b"ready\n");
    // A process has no environment at the instant in which it executes another program.
    eventually(tree.name, || {
        assert!(!tree.stays || child.poll().is_none(), "{:?}", child.info());
        !tree.stays || !processes(&marker).is_empty()
    });
    Held {
        registry,
        guest,
        child,
        marker,
    }
}

#[test]
fn nothing_is_left_of_any_tree_however_it_is_left() {
    if !is_alone(test_name!()) {
        return;
    }
    drop(start(TREES[0], "the first"));
    eventually("no child", || children().is_empty());
    let before = descriptors();
    for (name, end) in ENDINGS {
        for tree in TREES {
            let held = start(tree, name);
            let marker = held.marker.clone();
            end(held);
            eventually(tree.name, || processes(&marker).is_empty());
            // The watchdog and the registry's thread end with the last handle.
            eventually("no zombie", || children().is_empty());
            eventually("no descriptor", || descriptors() <= before);
        }
    }
}

#[test]
fn the_end_of_a_detached_childs_lifetime_leaves_nothing_of_any_tree() {
    for tree in TREES {
        let marker = format!("lifetime-{}-{}", process::id(), tree.name.replace(' ', "-"));
        let terms = "detach = { allow = true, max-life = \"50ms\" }";
        let toml = grant_toml("test", &marker, terms);
        let grants = load(&toml);
        let guest = registry().guest(grants.component("test"), "");
        let script = Command::new("sh").args(["-c", tree.script]);
        let child = guest.spawn(&script).expect("the grant allows it");
        eventually(tree.name, || stdout(&child) == b"ready\n");
        child.detach().expect("the grant allows it");
        let status = ended(&child);
        if tree.stays {
            assert_eq!(status, ExitStatus::Killed(KillReason::Lifetime));
        }
        eventually(tree.name, || processes(&marker).is_empty());
    }
}

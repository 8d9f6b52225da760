//! Children that outlive their guest: the keys to them, who may use a key, and
//! what ends such a child.

use std::sync::Mutex;
use std::time::Duration;

use capspawn_native::limits::MAX_DETACHED;
use capspawn_native::{
    Child, Command, DeniedItem, EventKind, ExitStatus, Guest, KillReason, Quota, Registry, Signal,
    SpawnError, Stdin, Stdio,
};

use test_kit::wait_for;

use crate::support::*;

const ALLOWED: &str = "detach = { allow = true, max-life = \"10min\" }\nmax-live = 70\n\
    limits = { wall = \"20min\" }";

fn detaching(registry: &Registry) -> Guest {
    registry.guest(grant("test", ALLOWED), "")
}

fn sleeper(guest: &Guest) -> Child {
    guest
        .spawn(&sh("exec sleep 600"))
        .expect("the grant allows it")
}

#[track_caller]
fn no_entry(result: Result<Child, SpawnError>) {
    assert!(matches!(result, Err(SpawnError::NoEntry)), "{result:?}");
}

#[test]
pub(crate) fn a_detached_child_outlives_handle_and_guest_and_its_owner_gets_it_back() {
    let registry = registry();
    let first = detaching(&registry);
    let child = first
        .spawn(&Command {
            stdin: Stdin::Piped,
            ..sh("echo before; read line; echo after $line; exit 5")
        })
        .expect("the grant allows it");
    eventually("its first line", || stdout(&child) == b"before\n");
    let id = child.id();
    let key = child.detach().expect("the grant allows it");
    assert!(first.live().is_empty(), "the guest no longer owns it");
    first.kill_all();
    drop(child);
    drop(first);

    let second = detaching(&registry);
    let child = second.attach(&key).expect("the guest has the same owner");
    assert_eq!((child.id(), child.poll()), (id, None));
    assert_eq!(second.live().len(), 1, "this guest owns it now");
    let stdin = child
        .take_stdin()
        .expect("the runtime takes the pipe")
        .expect("the pipe was not taken before");
    bare_runtime()
        .block_on(async {
            let mut stdin = stdin;
            tokio::io::AsyncWriteExt::write_all(&mut stdin, b"here\n").await
        })
        .expect("the child reads");
    let (status, out, _) = output(&child);
    assert_eq!(status, ExitStatus::Exited(5));
    assert_eq!(
        out.data, b"before\nafter here\n",
        "the output of both times is captured"
    );
    assert!(second.live().is_empty());
    drop(child);
    eventually("the free slot", || registry.is_empty());
}

#[test]
pub(crate) fn a_refused_detach_changes_nothing_and_the_event_names_what_would_allow_it() {
    let (sender, events) = std::sync::mpsc::channel();
    let registry = Registry::builder().on_event(move |event| {
        let _ = sender.send(event.kind.clone());
    });
    let registry = build(registry);
    let guest = registry.guest(grant("test", "detach = { max-life = \"1min\" }"), "");
    let child = guest
        .spawn(&sh("read line; exit 4"))
        .expect("the grant allows it");
    let child_two = sleeper(&guest);
    assert_eq!(ended(&child), ExitStatus::Exited(4));
    match child_two.detach() {
        Err(SpawnError::Denied(denial)) => assert_eq!(denial.item, DeniedItem::Detach),
        other => panic!("not a denial: {other:?}"),
    }
    assert_eq!(child_two.poll(), None, "it still runs");
    assert_eq!(guest.live().len(), 1);
    let suggestion = events.iter().find_map(|event| match event {
        EventKind::Denied { would_allow, .. } => would_allow,
        _ => None,
    });
    assert_eq!(suggestion.as_deref(), Some("detach = { allow = true }"));
    drop(child_two);
    drop(child);
    eventually("the end of the dropped child", || registry.is_empty());
}

#[test]
pub(crate) fn a_key_works_for_its_owner_only_and_once() {
    let registry = registry();
    let guest = detaching(&registry);
    let key = sleeper(&guest).detach().expect("the grant allows it");
    assert_eq!(key.len(), 32);
    let tenant = registry.guest(grant("test", ALLOWED), "else");
    let component = registry.guest(grant("other", ALLOWED), "");
    no_entry(tenant.attach(&key));
    no_entry(component.attach(&key));
    let swapped: String = key.chars().rev().collect();
    let long = "0".repeat(1 << 20);
    for not_a_key in [
        "",
        "\0",
        &key[1..],
        &key.to_uppercase()[..31],
        &swapped,
        &long,
    ] {
        no_entry(guest.attach(not_a_key));
    }
    let child = guest
        .attach(&key)
        .expect("a refused attach does not use up the key");
    no_entry(guest.attach(&key));
    let again = child.detach().expect("the grant allows it");
    assert_ne!(again, key, "a second detach makes another key");
    no_entry(guest.attach(&key));
    drop(child);
    assert_eq!(guest.attach(&again).expect("the child runs").poll(), None);
}

#[test]
fn one_of_many_attaches_at_once_gets_the_child() {
    let registry = registry();
    let guest = detaching(&registry);
    for _ in 0..20 {
        let key = sleeper(&guest).detach().expect("the grant allows it");
        let got = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let attached = detaching(&registry).attach(&key);
                    got.lock().expect("pushing does not panic").push(attached);
                });
            }
        });
        let got = got.into_inner().expect("pushing does not panic");
        assert_eq!(got.iter().filter(|result| result.is_ok()).count(), 1);
    }
    eventually("free slots", || registry.is_empty());
}

#[test]
pub(crate) fn the_lifetime_ends_a_detached_child_unless_it_is_attached() {
    let registry = registry();
    let terms = "detach = { allow = true, max-life = \"1s\" }";
    let guest = registry.guest(grant("test", terms), "");
    // On a busy machine the second may pass before the attach; then another child is tried.
    let kept = wait_for("an attach within the lifetime", || {
        let key = sleeper(&guest).detach().expect("the grant allows it");
        let child = guest.attach(&key).expect("the record of the child stays");
        child.poll().is_none().then_some(child)
    });
    let left = guest
        .spawn(&sh("trap '' USR1; echo ready; exec sleep 600"))
        .expect("the grant allows it");
    eventually("the trap", || stdout(&left) == b"ready\n");
    left.signal(Signal::User1);
    let key = left.detach().expect("the grant allows it");
    assert_eq!(
        ended(&left),
        ExitStatus::Killed(KillReason::Lifetime),
        "an earlier signal does not change the reason"
    );
    assert_eq!(kept.poll(), None, "an attached child has no lifetime");
    drop(left);
    let left = guest.attach(&key).expect("the record of the child stays");
    assert_eq!(left.poll(), Some(ExitStatus::Killed(KillReason::Lifetime)));
}

#[test]
pub(crate) fn the_wall_limit_applies_to_a_detached_child_too() {
    let registry = registry();
    let terms = "detach = { allow = true }\nlimits = { wall = \"200ms\" }";
    let guest = registry.guest(grant("test", terms), "");
    let child = sleeper(&guest);
    child.detach().expect("the grant allows it");
    assert_eq!(ended(&child), ExitStatus::Killed(KillReason::Timeout));
}

#[test]
pub(crate) fn a_detached_child_counts_as_live_until_it_ends() {
    let registry = registry();
    let terms = "detach = { allow = true }\nmax-live = 1";
    let guest = registry.guest(grant("test", terms), "");
    let key = sleeper(&guest).detach().expect("the grant allows it");
    let next = guest.spawn(&sh("exit 0"));
    assert!(matches!(next, Err(SpawnError::Quota(Quota::LiveChildren))));
    guest
        .attach(&key)
        .expect("the child runs")
        .release_blocking();
    ended(&guest.spawn(&sh("exit 0")).expect("the slot is free"));
}

#[test]
pub(crate) fn detached_children_are_bounded_and_only_ended_ones_are_evicted() {
    let registry = registry();
    let guest = detaching(&registry);
    let unseen = guest.spawn(&sh("exit 9")).expect("the grant allows it");
    let ended_id = unseen.id();
    let mut waiter = unseen.waiter();
    let ended_key = unseen.detach().expect("the grant allows it");
    drop(unseen);
    bare_runtime().block_on(waiter.completed());
    let keys: Vec<_> = (0..MAX_DETACHED)
        .map(|_| sleeper(&guest).detach().expect("the bound is not reached"))
        .collect();
    no_entry(guest.attach(&ended_key));
    let receipts = registry.receipts("test", "");
    assert_eq!(receipts.len(), 1, "nobody observed its status");
    assert_eq!(
        (receipts[0].id, receipts[0].status),
        (ended_id, ExitStatus::Exited(9))
    );

    let child = sleeper(&guest);
    let refused = child.detach();
    assert!(matches!(
        refused,
        Err(SpawnError::Quota(Quota::LiveChildren))
    ));
    assert_eq!(child.poll(), None);
    drop(guest.attach(&keys[0]).expect("the child runs"));
    child.detach().expect("one slot is free");
    for key in &keys[1..] {
        assert_eq!(
            guest
                .attach(key)
                .expect("no running child is evicted")
                .poll(),
            None
        );
    }
}

#[test]
pub(crate) fn the_handle_of_a_detached_child_still_works() {
    let registry = registry();
    let guest = detaching(&registry);
    let child = sleeper(&guest);
    let key = child.detach().expect("the grant allows it");
    assert_eq!(child.detach().expect("a second detach is allowed"), key);
    child.kill(Duration::ZERO);
    assert_eq!(ended(&child), ExitStatus::Killed(KillReason::Requested));

    let child = sleeper(&guest);
    let key = child.detach().expect("the grant allows it");
    assert_eq!(
        child.release_blocking(),
        ExitStatus::Killed(KillReason::Released)
    );
    no_entry(guest.attach(&key));

    let old = sleeper(&guest);
    let attached = guest.attach(&old.detach().expect("the grant allows it"));
    let attached = attached.expect("the child runs");
    assert!(
        matches!(old.detach(), Err(SpawnError::NoEntry)),
        "the child belongs to the other handle now"
    );
    drop(old);
    assert_eq!(
        attached.poll(),
        None,
        "dropping the old handle ends nothing"
    );
}

#[test]
pub(crate) fn an_attached_child_ends_with_its_new_guest() {
    let registry = registry();
    let key = sleeper(&detaching(&registry))
        .detach()
        .expect("the grant allows it");
    let guest = detaching(&registry);
    let child = guest.attach(&key).expect("the child runs");
    let mut waiter = child.waiter();
    std::mem::forget(child);
    drop(guest);
    let status = bare_runtime().block_on(waiter.ended());
    assert_eq!(status, ExitStatus::Killed(KillReason::Released));
}

#[test]
pub(crate) fn a_registry_that_ends_kills_its_detached_children() {
    let registry = registry();
    let guest = detaching(&registry);
    let child = sleeper(&guest);
    child.detach().expect("the grant allows it");
    assert!(registry.shutdown(TEST_TIMEOUT));
    assert_eq!(child.poll(), Some(ExitStatus::Killed(KillReason::Host)));
    let late = guest.attach("0");
    no_entry(late);

    let other = self::registry();
    let guest = detaching(&other);
    let child = sleeper(&guest);
    let mut waiter = child.waiter();
    child.detach().expect("the grant allows it");
    drop((child, guest, other));
    let status = bare_runtime().block_on(waiter.ended());
    assert_eq!(status, ExitStatus::Killed(KillReason::Host));
}

#[test]
pub(crate) fn an_ended_detached_child_stays_until_it_is_evicted() {
    let registry = build(Registry::builder().max_entries(2));
    let guest = detaching(&registry);
    let run = |script: &str| {
        let child = guest.spawn(&sh(script)).expect("the registry has room");
        let mut waiter = child.waiter();
        let key = child.detach().expect("the grant allows it");
        drop(child);
        bare_runtime().block_on(waiter.completed());
        key
    };
    let (first, second) = (run("printf a; exit 1"), run("printf b; exit 2"));
    let third = run("printf c; exit 3");
    no_entry(guest.attach(&first));
    assert_eq!(registry.receipts("test", "").len(), 1);
    for (key, text, code) in [(second, b"b", 2), (third, b"c", 3)] {
        let child = guest.attach(&key).expect("it was not evicted");
        let (status, out, _) = output(&child);
        assert_eq!(
            (status, out.data),
            (ExitStatus::Exited(code), text.to_vec())
        );
    }
    eventually("free slots", || registry.is_empty());
}

#[test]
pub(crate) fn an_untaken_pipe_can_be_taken_after_the_attach() {
    use tokio::io::AsyncReadExt as _;

    let guest = registry().guest(grant("test", ALLOWED), "");
    let command = Command {
        stdout: Stdio::Piped,
        ..sh("printf piped; exit 2")
    };
    let child = guest.spawn(&command).expect("the grant allows it");
    let key = child.detach().expect("the grant allows it");
    drop(child);
    let child = guest.attach(&key).expect("the record of the child stays");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("the runtime starts");
    let mut text = String::new();
    runtime.block_on(async {
        let mut pipe = child
            .take_stdout()
            .expect("the runtime takes the pipe")
            .expect("the pipe was not taken before");
        pipe.read_to_string(&mut text)
            .await
            .expect("the pipe is readable");
    });
    assert_eq!(text, "piped");
    assert_eq!(ended(&child), ExitStatus::Exited(2));
}

#[test]
pub(crate) fn detach_and_attach_are_events_that_do_not_contain_the_key() {
    let (sender, events) = std::sync::mpsc::channel();
    let registry = Registry::builder().on_event(move |event| {
        let _ = sender.send(serde_json::to_value(event).expect("an event is plain data"));
    });
    let registry = build(registry);
    let guest = detaching(&registry);
    let child = sleeper(&guest);
    let key = child.detach().expect("the grant allows it");
    drop(guest.attach(&key).expect("the child runs"));
    let events: Vec<_> = (0..4)
        .map(|_| events.recv_timeout(TEST_TIMEOUT).expect("an event arrives"))
        .collect();
    let kinds: Vec<_> = events.iter().map(|event| &event["event"]).collect();
    assert_eq!(kinds, ["spawn", "detached", "attached", "exit"]);
    assert!(events.iter().all(|event| event["id"] == child.id()));
    assert_eq!(events[1]["max_life_seconds"], 600.0);
    assert_eq!(events[1]["command"], "sh");
    assert!(
        !serde_json::to_string(&events)
            .expect("events are JSON")
            .contains(&key)
    );
}

//! Children that outlive their guest: keys, who may use one, what ends them.

use std::sync::Mutex;
use std::time::Duration;

use capspawn_native::limits::MAX_DETACHED;
use capspawn_native::{
    Child, Command, DeniedItem, EventKind, ExitStatus, Guest, KillReason, Quota, Registry, Signal,
    SpawnError, Stdin, Stdio,
};

use crate::support::*;

const ALLOWED: &str = "detach = { allow = true, max-life = \"10min\" }\nmax-live = 70\n\
    limits = { wall = \"20min\" }";

fn detaching(registry: &Registry) -> Guest {
    registry.guest(grant("test", ALLOWED), "")
}

fn sleeper(guest: &Guest) -> Child {
    guest.spawn(&sh("exec sleep 600")).expect("allowed")
}

#[track_caller]
fn no_entry(result: Result<Child, SpawnError>) {
    assert!(matches!(result, Err(SpawnError::NoEntry)), "{result:?}");
}

#[test]
fn a_detached_child_outlives_handle_and_guest_and_its_owner_gets_it_back() {
    let registry = registry();
    let first = detaching(&registry);
    let child = first
        .spawn(&Command {
            stdin: Stdin::Piped,
            ..sh("echo before; read line; echo after $line; exit 5")
        })
        .expect("allowed");
    eventually("its first line", || stdout(&child) == b"before\n");
    let id = child.id();
    let key = child.detach().expect("the grant allows it");
    assert!(first.live().is_empty(), "it is not the guest's any more");
    first.kill_all();
    drop(child);
    drop(first);

    let second = detaching(&registry);
    let child = second.attach(&key).expect("the same owner's");
    assert_eq!((child.id(), child.poll()), (id, None));
    assert_eq!(second.live().len(), 1, "it is this guest's now");
    let stdin = child.take_stdin().expect("a reactor").expect("untaken");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    runtime
        .block_on(async {
            let mut stdin = stdin;
            tokio::io::AsyncWriteExt::write_all(&mut stdin, b"here\n").await
        })
        .expect("it reads");
    let (status, out, _) = output(&child);
    assert_eq!(status, ExitStatus::Exited(5));
    assert_eq!(out.data, b"before\nafter here\n", "captured all the while");
    assert!(second.live().is_empty());
    drop(child);
    eventually("the free slot", || registry.is_empty());
}

#[test]
fn a_refused_detach_loses_nothing_and_says_what_would_allow_it() {
    let (sender, events) = std::sync::mpsc::channel();
    let registry = Registry::builder()
        .on_event(move |event| {
            let _ = sender.send(event.kind.clone());
        })
        .build()
        .expect("a thread can be had");
    let guest = registry.guest(grant("test", "detach = { max-life = \"1min\" }"), "");
    let child = guest.spawn(&sh("read line; exit 4")).expect("allowed");
    let child_two = sleeper(&guest);
    assert_eq!(ended(&child), ExitStatus::Exited(4));
    match child_two.detach() {
        Err(SpawnError::Denied(denial)) => assert_eq!(denial.item, DeniedItem::Detach),
        other => panic!("not a denial: {other:?}"),
    }
    assert_eq!(child_two.poll(), None, "it is as it was");
    assert_eq!(guest.live().len(), 1);
    let told = events.iter().find_map(|event| match event {
        EventKind::Denied { would_allow, .. } => would_allow,
        _ => None,
    });
    assert_eq!(told.as_deref(), Some("detach = { allow = true }"));
    drop(child_two);
    drop(child);
    eventually("its end, by the drop", || registry.is_empty());
}

#[test]
fn a_key_is_its_owners_alone_and_used_once() {
    let registry = registry();
    let guest = detaching(&registry);
    let key = sleeper(&guest).detach().expect("allowed");
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
    let child = guest.attach(&key).expect("none of these used it up");
    no_entry(guest.attach(&key));
    let again = child.detach().expect("allowed");
    assert_ne!(again, key, "a new attach needs a new key");
    no_entry(guest.attach(&key));
    drop(child);
    assert_eq!(guest.attach(&again).expect("it runs").poll(), None);
}

#[test]
fn of_many_that_attach_at_once_one_gets_the_child() {
    let registry = registry();
    let guest = detaching(&registry);
    for _ in 0..20 {
        let key = sleeper(&guest).detach().expect("allowed");
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
fn the_life_time_ends_the_detached_and_an_attach_lifts_it() {
    let registry = registry();
    let terms = "detach = { allow = true, max-life = \"1s\" }";
    let guest = registry.guest(grant("test", terms), "");
    let kept = sleeper(&guest).detach().expect("allowed");
    let kept = guest.attach(&kept).expect("just detached");
    let left = guest
        .spawn(&sh("trap '' USR1; echo ready; exec sleep 600"))
        .expect("allowed");
    eventually("its trap", || stdout(&left) == b"ready\n");
    left.signal(Signal::User1);
    let key = left.detach().expect("allowed");
    assert_eq!(
        ended(&left),
        ExitStatus::Killed(KillReason::Lifetime),
        "whatever it was sent before"
    );
    assert_eq!(kept.poll(), None, "it was detached earlier, and is held");
    drop(left);
    let left = guest.attach(&key).expect("its record is there");
    assert_eq!(left.poll(), Some(ExitStatus::Killed(KillReason::Lifetime)));
}

#[test]
fn the_wall_limit_holds_for_the_detached_too() {
    let registry = registry();
    let terms = "detach = { allow = true }\nlimits = { wall = \"200ms\" }";
    let guest = registry.guest(grant("test", terms), "");
    let child = sleeper(&guest);
    child.detach().expect("allowed");
    assert_eq!(ended(&child), ExitStatus::Killed(KillReason::Timeout));
}

#[test]
fn a_detached_child_counts_as_live_until_it_ends() {
    let registry = registry();
    let terms = "detach = { allow = true }\nmax-live = 1";
    let guest = registry.guest(grant("test", terms), "");
    let key = sleeper(&guest).detach().expect("allowed");
    let next = guest.spawn(&sh("exit 0"));
    assert!(matches!(next, Err(SpawnError::Quota(Quota::LiveChildren))));
    guest.attach(&key).expect("it runs").release_blocking();
    ended(&guest.spawn(&sh("exit 0")).expect("the place is free"));
}

#[test]
fn detached_children_are_bounded_and_only_the_ended_make_room() {
    let registry = registry();
    let guest = detaching(&registry);
    let gone = guest.spawn(&sh("exit 9")).expect("allowed");
    let gone_id = gone.id();
    let mut waiter = gone.waiter();
    let gone_key = gone.detach().expect("allowed");
    drop(gone);
    let bare = tokio::runtime::Builder::new_current_thread().build();
    bare.expect("a runtime").block_on(waiter.completed());
    let keys: Vec<_> = (0..MAX_DETACHED)
        .map(|_| sleeper(&guest).detach().expect("within the bound"))
        .collect();
    no_entry(guest.attach(&gone_key));
    let receipts = registry.receipts("test", "");
    assert_eq!(receipts.len(), 1, "nobody saw how it ended");
    assert_eq!(
        (receipts[0].id, receipts[0].status),
        (gone_id, ExitStatus::Exited(9))
    );

    let child = sleeper(&guest);
    let refused = child.detach();
    assert!(matches!(
        refused,
        Err(SpawnError::Quota(Quota::LiveChildren))
    ));
    assert_eq!(child.poll(), None);
    drop(guest.attach(&keys[0]).expect("it runs"));
    child.detach().expect("one place is free");
    for key in &keys[1..] {
        assert_eq!(guest.attach(key).expect("none made room").poll(), None);
    }
}

#[test]
fn the_handle_of_a_detached_child_goes_on_to_work() {
    let registry = registry();
    let guest = detaching(&registry);
    let child = sleeper(&guest);
    let key = child.detach().expect("allowed");
    assert_eq!(child.detach().expect("again"), key);
    child.kill(Duration::ZERO);
    assert_eq!(ended(&child), ExitStatus::Killed(KillReason::Requested));

    let child = sleeper(&guest);
    let key = child.detach().expect("allowed");
    assert_eq!(
        child.release_blocking(),
        ExitStatus::Killed(KillReason::Released)
    );
    no_entry(guest.attach(&key));

    let old = sleeper(&guest);
    let attached = guest.attach(&old.detach().expect("allowed"));
    let attached = attached.expect("it runs");
    assert!(
        matches!(old.detach(), Err(SpawnError::NoEntry)),
        "the child is the other handle's now"
    );
    drop(old);
    assert_eq!(attached.poll(), None, "the old handle ends nothing");
}

#[test]
fn an_attached_child_ends_with_its_new_guest() {
    let registry = registry();
    let key = sleeper(&detaching(&registry)).detach().expect("allowed");
    let guest = detaching(&registry);
    let child = guest.attach(&key).expect("it runs");
    let mut waiter = child.waiter();
    std::mem::forget(child);
    drop(guest);
    let bare = tokio::runtime::Builder::new_current_thread().build();
    let status = bare.expect("a runtime").block_on(waiter.ended());
    assert_eq!(status, ExitStatus::Killed(KillReason::Released));
}

#[test]
fn the_end_of_the_registry_ends_the_detached() {
    let registry = registry();
    let guest = detaching(&registry);
    let child = sleeper(&guest);
    child.detach().expect("allowed");
    assert!(registry.shutdown(PATIENCE));
    assert_eq!(child.poll(), Some(ExitStatus::Killed(KillReason::Host)));
    let late = guest.attach("0");
    no_entry(late);

    let other = self::registry();
    let guest = detaching(&other);
    let child = sleeper(&guest);
    let mut waiter = child.waiter();
    child.detach().expect("allowed");
    drop((child, guest, other));
    let bare = tokio::runtime::Builder::new_current_thread().build();
    let status = bare.expect("a runtime").block_on(waiter.ended());
    assert_eq!(status, ExitStatus::Killed(KillReason::Host));
}

#[test]
fn an_ended_detached_child_stays_until_it_makes_room() {
    let registry = Registry::builder().max_entries(2).build();
    let registry = registry.expect("a thread can be had");
    let guest = detaching(&registry);
    let run = |script: &str| {
        let child = guest.spawn(&sh(script)).expect("there is room");
        let mut waiter = child.waiter();
        let key = child.detach().expect("allowed");
        drop(child);
        let bare = tokio::runtime::Builder::new_current_thread().build();
        bare.expect("a runtime").block_on(waiter.completed());
        key
    };
    let (first, second) = (run("printf a; exit 1"), run("printf b; exit 2"));
    let third = run("printf c; exit 3");
    no_entry(guest.attach(&first));
    assert_eq!(registry.receipts("test", "").len(), 1);
    for (key, text, code) in [(second, b"b", 2), (third, b"c", 3)] {
        let child = guest.attach(&key).expect("it is still there");
        let (status, out, _) = output(&child);
        assert_eq!(
            (status, out.data),
            (ExitStatus::Exited(code), text.to_vec())
        );
    }
    eventually("free slots", || registry.is_empty());
}

#[test]
fn a_pipe_that_nobody_took_can_be_taken_after_the_attach() {
    use tokio::io::AsyncReadExt as _;

    let guest = registry().guest(grant("test", ALLOWED), "");
    let command = Command {
        stdout: Stdio::Piped,
        ..sh("printf piped; exit 2")
    };
    let child = guest.spawn(&command).expect("allowed");
    let key = child.detach().expect("allowed");
    drop(child);
    let child = guest.attach(&key).expect("it is there");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let mut text = String::new();
    runtime.block_on(async {
        let mut pipe = child.take_stdout().expect("a reactor").expect("untaken");
        pipe.read_to_string(&mut text).await.expect("a pipe reads");
    });
    assert_eq!(text, "piped");
    assert_eq!(ended(&child), ExitStatus::Exited(2));
}

#[test]
fn detach_and_attach_are_told_and_the_key_is_not() {
    let (sender, events) = std::sync::mpsc::channel();
    let registry = Registry::builder()
        .on_event(move |event| {
            let _ = sender.send(serde_json::to_value(event).expect("plain data"));
        })
        .build()
        .expect("a thread can be had");
    let guest = detaching(&registry);
    let child = sleeper(&guest);
    let key = child.detach().expect("allowed");
    drop(guest.attach(&key).expect("it runs"));
    let events: Vec<_> = (0..4)
        .map(|_| events.recv_timeout(PATIENCE).expect("an event"))
        .collect();
    let kinds: Vec<_> = events.iter().map(|event| &event["event"]).collect();
    assert_eq!(kinds, ["spawn", "detached", "attached", "exit"]);
    assert!(events.iter().all(|event| event["id"] == child.id()));
    assert_eq!(events[1]["max_life_seconds"], 600.0);
    assert_eq!(events[1]["command"], "sh");
    assert!(!serde_json::to_string(&events).expect("JSON").contains(&key));
}

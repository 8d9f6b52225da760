//! Caps, owners, eviction, receipts.

use capspawn_native::{ExitStatus, Quota, Registry, SpawnError};

use crate::support::*;

fn refused(result: Result<capspawn_native::Child, SpawnError>) -> Quota {
    match result {
        Err(SpawnError::Quota(quota)) => quota,
        other => panic!("not a quota: {other:?}"),
    }
}

#[test]
fn the_65th_live_child_is_refused_and_touches_nobody() {
    let registry = registry();
    let one = registry.guest(grant("one", ""), "");
    let other = registry.guest(grant("other", ""), "");
    let children: Vec<_> = (0..64)
        .map(|_| one.spawn(&sh("exec sleep 600")).expect("within the cap"))
        .collect();
    assert_eq!(refused(one.spawn(&sh("true"))), Quota::LiveChildren);
    let others = other
        .spawn(&sh("exit 0"))
        .expect("another owner has its own");
    assert_eq!(ended(&others), ExitStatus::Exited(0));
    assert!(
        children.iter().all(|child| child.poll().is_none()),
        "no running child is touched"
    );
    assert_eq!(one.live().len(), 64);
}

#[test]
fn live_counts_per_owner_and_total_per_guest() {
    let registry = registry();
    let grant = grant("test", "max-live = 1\nmax-total = 2");
    let first = registry.guest(grant.clone(), "");
    let again = registry.guest(grant.clone(), "");
    let tenant = registry.guest(grant, "else");
    let child = first.spawn(&sh("exec sleep 600")).expect("the first");
    assert_eq!(refused(again.spawn(&sh("true"))), Quota::LiveChildren);
    let of_tenant = tenant.spawn(&sh("exit 0")).expect("another owner");
    drop(child);
    eventually("the free place", || first.live().is_empty());
    let child = first.spawn(&sh("exit 0")).expect("the second");
    ended(&child);
    assert_eq!(refused(first.spawn(&sh("true"))), Quota::TotalChildren);
    ended(&again.spawn(&sh("true")).expect("its own total"));
    ended(&of_tenant);
}

#[test]
fn a_denied_request_gives_back_all_but_the_rate() {
    let registry = registry();
    let guest = registry.guest(grant("test", "max-total = 1\nrate = \"3/min\""), "");
    for _ in 0..2 {
        assert!(matches!(
            guest.spawn(&capspawn_native::Command::new("nope")),
            Err(SpawnError::Denied(_))
        ));
    }
    ended(
        &guest
            .spawn(&sh("true"))
            .expect("total and live were given back"),
    );
    assert_eq!(refused(guest.spawn(&sh("true"))), Quota::SpawnRate);
}

#[test]
fn a_held_but_ended_child_does_not_keep_its_owner_from_spawning() {
    let guest = registry().guest(grant("test", "max-live = 1"), "");
    let held: Vec<_> = (0..20)
        .map(|_| {
            let child = guest.spawn(&sh("exit 0")).expect("nothing is live");
            ended(&child);
            child
        })
        .collect();
    assert!(
        held.iter()
            .all(|child| child.poll() == Some(ExitStatus::Exited(0)))
    );
}

fn small(entries: usize) -> Registry {
    Registry::builder()
        .max_entries(entries)
        .build()
        .expect("a thread can be had")
}

#[test]
fn at_the_cap_ended_entries_make_room_observed_ones_first() {
    let registry = small(3);
    let guest = registry.guest(grant("test", ""), "");
    let spawn = |text: &str| {
        let child = guest
            .spawn(&sh(&format!("printf {text}")))
            .expect("there is room");
        eventually("its end", || {
            child.captured(0, 0).0.complete && child.info().ended_at.is_some()
        });
        child
    };
    let unobserved = spawn("a");
    let observed = spawn("b");
    eventually("the retained entry", || {
        output(&observed).0 == ExitStatus::Exited(0)
    });
    let third = spawn("c");
    assert_eq!(registry.len(), 3);
    let fourth = spawn("d");
    assert_eq!(registry.len(), 3);
    assert_eq!(stdout(&observed), b"", "the observed one made room");
    assert_eq!(observed.captured(0, 0).0.dropped, 1, "and it shows");
    assert_eq!(
        observed.poll(),
        Some(ExitStatus::Exited(0)),
        "its status stays"
    );
    assert_eq!(stdout(&unobserved), b"a");
    assert!(registry.receipts("test", "").is_empty());
    let _fifth = spawn("e");
    let receipts = registry.receipts("test", "");
    assert_eq!(receipts.len(), 1, "an unobserved one leaves a receipt");
    assert_eq!(
        (receipts[0].id, receipts[0].status),
        (unobserved.id(), ExitStatus::Exited(0))
    );
    assert!(
        registry.receipts("test", "else").is_empty(),
        "for its owner alone"
    );
    drop((third, fourth));
}

#[test]
fn a_full_registry_of_running_children_refuses() {
    let registry = small(2);
    let guest = registry.guest(grant("test", ""), "");
    let children: Vec<_> = (0..2)
        .map(|_| guest.spawn(&sh("exec sleep 600")).expect("there is room"))
        .collect();
    assert_eq!(refused(guest.spawn(&sh("true"))), Quota::HostCapacity);
    assert!(children.iter().all(|child| child.poll().is_none()));
    drop(children);
    eventually("room", || registry.is_empty());
    ended(&guest.spawn(&sh("true")).expect("there is room again"));
}

#[test]
fn receipts_are_bounded() {
    let registry = Registry::builder()
        .max_entries(1)
        .max_receipts(2)
        .build()
        .expect("a thread can be had");
    let guest = registry.guest(grant("test", ""), "");
    let mut held = Vec::new();
    for _ in 0..5 {
        let child = loop {
            match guest.spawn(&sh("true")) {
                Ok(child) => break child,
                // The tree of the one before is still being cleared away.
                Err(SpawnError::Quota(Quota::HostCapacity)) => std::thread::yield_now(),
                Err(other) => panic!("{other}"),
            }
        };
        eventually("its end", || child.info().ended_at.is_some());
        held.push(child);
    }
    let ids: Vec<_> = registry
        .receipts("test", "")
        .iter()
        .map(|receipt| receipt.id)
        .collect();
    assert_eq!(ids, [held[2].id(), held[3].id()]);
}

//! Quotas and their owners, eviction, and receipts.

use capspawn_native::{ExitStatus, Quota, Registry, SpawnError};

use crate::support::*;

fn refused(result: Result<capspawn_native::Child, SpawnError>) -> Quota {
    match result {
        Err(SpawnError::Quota(quota)) => quota,
        other => panic!("not a quota: {other:?}"),
    }
}

#[test]
pub(crate) fn the_65th_live_child_is_refused_and_no_other_child_is_affected() {
    let registry = registry();
    let one = registry.guest(grant("one", ""), "");
    let other = registry.guest(grant("other", ""), "");
    let children: Vec<_> = (0..64)
        .map(|_| {
            one.spawn(&sh("exec sleep 600"))
                .expect("the quota allows it")
        })
        .collect();
    assert_eq!(refused(one.spawn(&sh("true"))), Quota::LiveChildren);
    let others = other
        .spawn(&sh("exit 0"))
        .expect("another owner has its own quota");
    assert_eq!(ended(&others), ExitStatus::Exited(0));
    assert!(
        children.iter().all(|child| child.poll().is_none()),
        "no running child is ended"
    );
    assert_eq!(one.live().len(), 64);
}

#[test]
pub(crate) fn live_children_count_per_owner_and_total_children_per_guest() {
    let registry = registry();
    let grant = grant("test", "max-live = 1\nmax-total = 2");
    let first = registry.guest(grant.clone(), "");
    let again = registry.guest(grant.clone(), "");
    let tenant = registry.guest(grant, "else");
    let child = first
        .spawn(&sh("exec sleep 600"))
        .expect("the first child is within the quota");
    assert_eq!(refused(again.spawn(&sh("true"))), Quota::LiveChildren);
    let of_tenant = tenant
        .spawn(&sh("exit 0"))
        .expect("another owner has its own quota");
    drop(child);
    eventually("the free slot", || first.live().is_empty());
    let child = first
        .spawn(&sh("exit 0"))
        .expect("the second child is within the total");
    ended(&child);
    assert_eq!(refused(first.spawn(&sh("true"))), Quota::TotalChildren);
    ended(
        &again
            .spawn(&sh("true"))
            .expect("the other guest has its own total"),
    );
    ended(&of_tenant);
}

#[test]
pub(crate) fn a_denied_request_is_charged_to_the_rate_only() {
    let registry = registry();
    let guest = registry.guest(grant("test", "max-total = 1\nrate = \"3/h\""), "");
    for _ in 0..2 {
        assert!(matches!(
            guest.spawn(&capspawn_native::Command::new("nope")),
            Err(SpawnError::Denied(_))
        ));
    }
    ended(
        &guest
            .spawn(&sh("true"))
            .expect("neither the total nor the live quota was charged"),
    );
    assert_eq!(refused(guest.spawn(&sh("true"))), Quota::SpawnRate);
}

#[test]
pub(crate) fn an_ended_child_whose_handle_is_held_does_not_count_as_live() {
    let guest = registry().guest(grant("test", "max-live = 1"), "");
    let held: Vec<_> = (0..20)
        .map(|_| {
            let child = guest.spawn(&sh("exit 0")).expect("no child is live");
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
    build(Registry::builder().max_entries(entries))
}

#[test]
pub(crate) fn at_the_cap_ended_children_are_evicted_and_observed_ones_first() {
    let registry = small(3);
    let guest = registry.guest(grant("test", ""), "");
    let spawn = |text: &str| {
        let child = guest
            .spawn(&sh(&format!("printf {text}")))
            .expect("the registry has room");
        eventually("its end", || {
            child.captured(0, 0).0.complete && child.info().ended_at.is_some()
        });
        child
    };
    let unobserved = spawn("a");
    let observed = spawn("b");
    eventually("the observed status", || {
        output(&observed).0 == ExitStatus::Exited(0)
    });
    let third = spawn("c");
    assert_eq!(registry.len(), 3);
    let fourth = spawn("d");
    assert_eq!(registry.len(), 3);
    assert_eq!(stdout(&observed), b"", "the observed child was evicted");
    assert_eq!(
        observed.captured(0, 0).0.dropped,
        1,
        "its output counts as dropped"
    );
    assert_eq!(
        observed.poll(),
        Some(ExitStatus::Exited(0)),
        "its status is kept"
    );
    assert_eq!(stdout(&unobserved), b"a");
    assert!(registry.receipts("test", "").is_empty());
    let _fifth = spawn("e");
    let receipts = registry.receipts("test", "");
    assert_eq!(
        receipts.len(),
        1,
        "an evicted child that nobody observed leaves a receipt"
    );
    assert_eq!(
        (receipts[0].id, receipts[0].status),
        (unobserved.id(), ExitStatus::Exited(0))
    );
    assert!(
        registry.receipts("test", "else").is_empty(),
        "only its owner sees the receipt"
    );
    drop((third, fourth));
}

#[test]
pub(crate) fn a_full_registry_of_running_children_refuses() {
    let registry = small(2);
    let guest = registry.guest(grant("test", ""), "");
    let children: Vec<_> = (0..2)
        .map(|_| {
            guest
                .spawn(&sh("exec sleep 600"))
                .expect("the registry has room")
        })
        .collect();
    assert_eq!(refused(guest.spawn(&sh("true"))), Quota::HostCapacity);
    assert!(children.iter().all(|child| child.poll().is_none()));
    drop(children);
    eventually("room", || registry.is_empty());
    ended(
        &guest
            .spawn(&sh("true"))
            .expect("the registry has room again"),
    );
}

#[test]
pub(crate) fn the_oldest_receipts_are_dropped_at_their_cap() {
    let registry = build(Registry::builder().max_entries(1).max_receipts(2));
    let guest = registry.guest(grant("test", ""), "");
    let mut held = Vec::new();
    for _ in 0..5 {
        let child = loop {
            match guest.spawn(&sh("true")) {
                Ok(child) => break child,
                // The process tree of the previous child is still being ended.
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

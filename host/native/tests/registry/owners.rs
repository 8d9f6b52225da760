//! The users as which the children of different owners run, on a root host.

use std::sync::Arc;

use capspawn_native::launch::OwnerUids;
use capspawn_native::sandbox::NativeLauncher;
use capspawn_native::{Guest, Registry, Shortage, SpawnError};

use crate::support::*;

/// The user as which a child of `guest` runs.
fn user(guest: &Guest) -> String {
    let child = guest
        .spawn(&sh("id -u"))
        .expect("the grant allows it, and an id is free");
    let (_, stdout, _) = output(&child);
    String::from_utf8(stdout.data).expect("a number")
}

#[test]
fn guests_of_one_component_and_tenant_have_one_user_and_others_have_others() {
    if !test_kit::is_root() {
        return;
    }
    let registry = registry();
    let guest = |component, tenant| registry.guest(grant(component, ""), tenant);
    let (first, again) = (guest("one", ""), guest("one", ""));
    let one = user(&first);
    assert_eq!(user(&again), one);
    let others = [guest("one", "tenant"), guest("two", "")];
    let users = [one, user(&others[0]), user(&others[1])];
    let all: std::collections::HashSet<_> = users.iter().collect();
    assert_eq!(all.len(), 3, "{users:?}");
}

#[test]
fn an_owner_for_whom_there_is_no_user_is_over_the_hosts_capacity() {
    if !test_kit::is_root() {
        return;
    }
    let uids = OwnerUids::new(1_700_000_000, 1_700_000_000).expect("a range");
    let launcher = NativeLauncher::builder().owner_uids(uids).build();
    let registry = build(Registry::builder().launcher(Arc::new(launcher)));
    let [first, second] = ["one", "two"].map(|name| registry.guest(grant(name, ""), ""));
    assert_eq!(user(&first), "1700000000\n");
    let refused = second.spawn(&sh("id -u"));
    assert!(
        matches!(refused, Err(SpawnError::Shortage(Shortage::UserIds))),
        "{refused:?}"
    );
    drop(first);
    eventually("the user of the first owner is free", || {
        second.spawn(&sh("id -u")).is_ok()
    });
}

//! Who gets which id, and when it is free again.

use std::collections::HashSet;

use super::*;
use crate::launch::is_shortage;

const ONE: Owner<'_> = Owner {
    component: "one",
    tenant: "",
};
const OTHER: Owner<'_> = Owner {
    component: "one",
    tenant: "tenant",
};

/// Ids that no process of the machine has and no other test uses.
fn owners(first: u32, last: u32) -> Owners {
    Owners::new(OwnerUids::new(first, last).expect("a range"))
}

fn uid(owners: &Owners, scope: u64) -> Option<u32> {
    match owners.lease(Scope(scope)) {
        Ok(lease) => Some(lease.uid()),
        Err(error) => {
            assert_eq!(error.stage, Stage::Identity);
            assert!(is_shortage(&error.source), "{error}");
            None
        }
    }
}

#[test]
fn guests_of_one_owner_share_an_id_and_owners_do_not() {
    let owners = owners(1_900_000_000, 1_900_000_009);
    owners.open(Scope(1), ONE);
    owners.open(Scope(2), ONE);
    owners.open(Scope(3), OTHER);
    let first = uid(&owners, 1).expect("there are ten");
    assert_eq!(uid(&owners, 2), Some(first));
    let ids: HashSet<_> = [3, 4, 5].map(|scope| uid(&owners, scope)).into();
    assert_eq!(ids.len(), 3, "guests of unknown owners are owners");
    assert!(!ids.contains(&Some(first)));
}

#[test]
fn an_id_is_free_once_its_owner_has_no_guest_and_no_child() {
    let owners = owners(1_900_000_010, 1_900_000_010);
    owners.open(Scope(1), ONE);
    owners.open(Scope(2), OTHER);
    let child = owners.lease(Scope(1)).expect("there is one");
    assert_eq!(uid(&owners, 2), None);
    owners.close(Scope(1));
    assert_eq!(uid(&owners, 2), None, "a child runs");
    drop(child);
    assert_eq!(uid(&owners, 2), Some(1_900_000_010));
}

#[test]
fn an_owner_keeps_its_id_while_it_has_a_child_without_a_guest() {
    let owners = owners(1_900_000_011, 1_900_000_012);
    owners.open(Scope(1), ONE);
    let detached = owners.lease(Scope(1)).expect("there are two");
    owners.close(Scope(1));
    owners.open(Scope(2), ONE);
    assert_eq!(uid(&owners, 2), Some(detached.uid()));
}

#[test]
fn two_launchers_never_use_one_id() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let range = (1_900_000_020, 1_900_000_021);
    let (first, second) = (owners(range.0, range.1), owners(range.0, range.1));
    assert_eq!(uid(&first, 1), Some(range.0));
    assert_eq!(uid(&second, 1), Some(range.1));
    assert_eq!(uid(&second, 2), None);
}

#[test]
fn an_id_that_a_process_may_still_have_is_not_given_out_unseen() {
    let range = OwnerUids::new(1_900_000_030, 1_900_000_031).expect("a range");
    let mut ids = Ids::new(range, HostLock::open());
    let (nobody, left) = (HashSet::new(), HashSet::from([1_900_000_030]));
    assert_eq!(ids.take(&left), Some(1_900_000_031), "one is in use");
    assert_eq!(ids.take(&nobody), Some(1_900_000_030));
    ids.give_back(1_900_000_030, true);
    assert_eq!(ids.take_known(), None, "a process may have it");
    assert_eq!(ids.take(&left), None);
    ids.give_back(1_900_000_031, false);
    assert_eq!(ids.take_known(), Some(1_900_000_031));
    assert_eq!(ids.take(&nobody), Some(1_900_000_030));
    assert_eq!(ids.take(&nobody), None);
}

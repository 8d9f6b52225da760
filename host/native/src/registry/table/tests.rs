//! The verbs of the table, one rule each.

use std::time::{Duration, Instant, SystemTime};

use super::*;
use crate::grant::Rate;
use crate::status::ExitStatus;

/// An entry that has ended whenever somebody asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fake(pub(super) u64);

impl Entry for Fake {
    fn receipt(&self) -> Option<Receipt> {
        Some(Receipt {
            id: self.0,
            program: "fake".into(),
            status: ExitStatus::Exited(0),
            started_at: SystemTime::UNIX_EPOCH,
            ended_at: SystemTime::UNIX_EPOCH,
        })
    }

    /// The number of a fake is the bytes that it holds; those with an odd one hold a descriptor.
    fn held(&self) -> Need {
        let number = usize::try_from(self.0).expect("few");
        Need {
            bytes: number,
            promised: 0,
            descriptors: number % 2,
        }
    }

    fn discard(&self) {}
}

pub(super) fn totals() -> Arc<Totals> {
    Totals::new(0, 0)
}

pub(super) fn key(number: u64) -> DetachKey {
    DetachKey::parse(&format!("{number:032x}")).expect("32 digits")
}

const CAPS: Caps = Caps {
    entries: 4,
    receipts: 2,
    detached: 2,
};

fn enter(table: &mut Table<Fake>, component: &str) -> GuestKey {
    table.enter(OwnerKey::new(component, ""), Instant::now())
}

fn quotas() -> Quotas {
    Quotas {
        max_live: 3,
        ..Quotas::default()
    }
}

fn table() -> (Table<Fake>, GuestKey) {
    let mut table = Table::new(CAPS, totals());
    let guest = enter(&mut table, "component");
    (table, guest)
}

/// Starts the child `id` of `guest`.
fn start(table: &mut Table<Fake>, guest: &GuestKey, id: u64) -> Result<(), Refusal> {
    start_under(table, guest, &quotas(), id)
}

/// Starts the child `id` of `guest` under these quotas.
fn start_under(
    table: &mut Table<Fake>,
    guest: &GuestKey,
    quotas: &Quotas,
    id: u64,
) -> Result<(), Refusal> {
    table.admit(guest, quotas, Instant::now())?;
    if let Err(refusal) = table.take(guest, quotas, Need::default()) {
        table.cancel(guest);
        return Err(refusal);
    }
    assert!(!table.insert(id, guest, Fake(id)), "the table is open");
    Ok(())
}

fn kept(table: &Table<Fake>) -> Vec<u64> {
    let mut ids: Vec<_> = table.slots.keys().copied().collect();
    ids.sort_unstable();
    ids
}

fn finish(table: &mut Table<Fake>, id: u64) -> Option<Fake> {
    table.end(id);
    table.complete(id)
}

#[test]
fn a_cancelled_admission_leaves_every_count_as_it_was() {
    let (mut table, guest) = table();
    let one = Quotas {
        max_live: 1,
        max_total: 1,
        ..Quotas::default()
    };
    for _ in 0..3 {
        table.readmit(&guest, &one).expect("nothing is in use");
        assert!(!table.is_idle());
        table.cancel(&guest);
        assert!(table.is_idle());
    }
    assert_eq!(table.len(), 0);
}

#[test]
fn the_total_of_a_guest_counts_children_that_have_ended() {
    let (mut table, guest) = table();
    let two = Quotas {
        max_total: 2,
        ..Quotas::default()
    };
    for id in 0..2 {
        start_under(&mut table, &guest, &two, id).expect("below the total");
        finish(&mut table, id);
    }
    let refused = table.readmit(&guest, &two);
    assert_eq!(refused, Err(Refusal::Quota(Quota::TotalChildren)));
    let another = table.enter(guest.owner().clone(), Instant::now());
    table.readmit(&another, &two).expect("a total of its own");
}

#[test]
fn a_refusal_for_the_total_evicts_nobody() {
    let (mut table, guest) = table();
    for id in 0..4 {
        start(&mut table, &guest, id).expect("there is room");
        finish(&mut table, id);
    }
    let none = Quotas {
        max_total: 4,
        ..Quotas::default()
    };
    let refused = table.readmit(&guest, &none);
    assert_eq!(refused, Err(Refusal::Quota(Quota::TotalChildren)));
    assert_eq!(table.len(), 4);
}

#[test]
fn the_rate_is_charged_for_requests_that_are_refused_otherwise() {
    let (mut table, guest) = table();
    let quotas = Quotas {
        max_live: 0,
        rate: Some(Rate {
            count: 1,
            per: Duration::from_secs(60),
        }),
        ..Quotas::default()
    };
    let now = Instant::now();
    let live = Err(Refusal::Quota(Quota::LiveChildren));
    assert_eq!(table.admit(&guest, &quotas, now), live);
    let rate = Err(Refusal::Quota(Quota::SpawnRate));
    assert_eq!(table.admit(&guest, &quotas, now), rate);
    assert_eq!(table.readmit(&guest, &quotas), live, "charged once");
}

#[test]
fn at_its_share_an_owner_loses_its_own_oldest_and_an_unobserved_one_leaves_a_receipt() {
    let (mut table, guest) = table();
    let other = enter(&mut table, "another");
    let two = Quotas {
        max_held_children: 2,
        ..quotas()
    };
    let start = |table: &mut Table<Fake>, guest: &GuestKey, id| {
        start_under(table, guest, &two, id).map(|()| kept(table))
    };
    for (id, guest) in [(1, &other), (2, &guest), (3, &other), (4, &guest)] {
        start(&mut table, guest, id).expect("there is room");
        finish(&mut table, id);
    }
    table.observe(3);
    table.observe(4);
    assert_eq!(
        start(&mut table, &guest, 5),
        Ok(vec![1, 2, 3, 5]),
        "observed"
    );
    finish(&mut table, 5);
    assert_eq!(start(&mut table, &guest, 6), Ok(vec![1, 3, 5, 6]), "older");
    assert_eq!(
        start(&mut table, &other, 7),
        Ok(vec![1, 5, 6, 7]),
        "observed"
    );
    assert_eq!(table.receipts(guest.owner()).len(), 1);
    assert_eq!(table.receipts(other.owner()), []);
    assert_eq!(start(&mut table, &guest, 8), Ok(vec![1, 6, 7, 8]));
    let full = Err(Refusal::Quota(Quota::LiveChildren));
    assert_eq!(start(&mut table, &guest, 9), full, "its children run");
}

#[test]
fn a_full_host_refuses_and_evicts_nobody() {
    let (mut table, guest) = table();
    let other = enter(&mut table, "another");
    for (id, guest) in [(1, &guest), (2, &other), (3, &other), (4, &other)] {
        start(&mut table, guest, id).expect("there is room");
        finish(&mut table, id);
        table.observe(id);
    }
    let full = Err(Refusal::Quota(Quota::HostCapacity));
    assert_eq!(start(&mut table, &guest, 5), full, "not even its own");
    assert_eq!(start(&mut table, &other, 5), full);
    assert_eq!(table.len(), 4);
    table.release(2);
    assert_eq!(start(&mut table, &guest, 5), Ok(()));
}

#[test]
fn an_owner_that_fills_the_host_alone_loses_its_oldest() {
    let (mut table, guest) = table();
    for id in 1..=4 {
        start(&mut table, &guest, id).expect("there is room");
        finish(&mut table, id);
    }
    assert_eq!(start(&mut table, &guest, 5), Ok(()));
    assert_eq!(kept(&table), [2, 3, 4, 5]);
}

#[test]
fn as_many_ended_entries_go_as_hold_what_lacks_and_none_for_nothing() {
    let (mut table, guest) = table();
    let other = enter(&mut table, "another");
    for (id, guest) in [(1, &guest), (2, &guest), (3, &guest), (4, &other)] {
        start(&mut table, guest, id).expect("there is room");
        finish(&mut table, id);
    }
    let owner = guest.owner();
    let lack = |bytes, descriptors| Need {
        bytes,
        descriptors,
        ..Need::default()
    };
    assert_eq!(table.evict_holding(owner, lack(0, 3)), []);
    assert_eq!(table.evict_holding(owner, lack(7, 0)), [], "6 are held");
    table.observe(3);
    let both = table.evict_holding(owner, lack(0, 2));
    assert_eq!(both, [Fake(3), Fake(1)], "2 has none");
    assert_eq!(table.evict_holding(owner, lack(1, 0)), [Fake(2)]);
    assert_eq!(table.len(), 1, "the other owner's is left");
}

#[test]
fn nothing_is_taken_and_nobody_goes_where_the_host_lacks_something() {
    let mut table = Table::new(CAPS, Totals::new(10, 10));
    let [guest, other] = ["component", "another"].map(|name| enter(&mut table, name));
    let two = Quotas {
        max_held_children: 2,
        max_held_bytes: 8,
        max_held_descriptors: 8,
        ..quotas()
    };
    for id in 1..=2 {
        start_under(&mut table, &guest, &two, id).expect("there is room");
        finish(&mut table, id);
    }
    let need = |bytes, promised, descriptors| Need {
        bytes,
        promised,
        descriptors,
    };
    table
        .admit(&other, &two, Instant::now())
        .expect("none runs");
    let taken = table.take(&other, &two, need(7, 0, 7));
    let taken = taken.expect("it is within its share");
    table
        .admit(&guest, &two, Instant::now())
        .expect("none runs");
    for lacking in [need(4, 0, 0), need(0, 4, 0), need(0, 0, 5)] {
        let refused = table
            .take(&guest, &two, lacking)
            .expect_err("the host is full");
        assert_eq!(refused, Refusal::Quota(Quota::HostCapacity));
        assert_eq!(kept(&table), [1, 2], "its oldest would be lost for nothing");
    }
    let over = [
        (need(12, 0, 0), Quota::HeldMemory),
        (need(0, 0, 10), Quota::HeldDescriptors),
    ];
    for (lacking, quota) in over {
        let refused = table
            .take(&guest, &two, lacking)
            .expect_err("over the share");
        assert_eq!(refused, Refusal::Quota(quota));
        assert_eq!(kept(&table), [1, 2]);
    }
    let last = table
        .take(&guest, &two, need(3, 0, 3))
        .expect("that is left");
    assert_eq!(kept(&table), [2], "the oldest has made room");
    table.give_back_place(&guest);
    drop((taken, last));
    table
        .take(&guest, &two, need(8, 0, 8))
        .expect("it was given back");
}

#[test]
fn nobody_makes_room_who_runs() {
    let (mut table, guest) = table();
    let other = enter(&mut table, "another");
    for (id, guest) in [(1, &guest), (2, &guest), (3, &other), (4, &other)] {
        start(&mut table, guest, id).expect("there is room");
    }
    let full = Err(Refusal::Quota(Quota::HostCapacity));
    assert_eq!(start(&mut table, &guest, 5), full);
    table.end(1);
    assert_eq!(start(&mut table, &guest, 5), full, "its tree is not gone");
    table.release(1);
    table.complete(1);
    assert_eq!(start(&mut table, &guest, 5), Ok(()));
}

#[test]
fn a_released_child_goes_with_its_completion_and_a_complete_one_at_once() {
    let (mut table, guest) = table();
    start(&mut table, &guest, 1).expect("there is room");
    start(&mut table, &guest, 2).expect("there is room");
    assert_eq!(table.release(1), None, "its tree is not gone");
    assert_eq!(finish(&mut table, 1), Some(Fake(1)));
    assert_eq!(finish(&mut table, 2), None);
    assert_eq!(table.release(2), Some(Fake(2)));
    assert_eq!(table.len(), 0);
}

#[test]
fn a_detached_child_leaves_its_guest_and_an_attach_uses_the_key_up() {
    let (mut table, guest) = table();
    start(&mut table, &guest, 1).expect("there is room");
    assert_eq!(table.detach(1, key(7)), Ok(None));
    assert_eq!(table.running_of(&guest), []);
    assert!(table.is_key_of(1, &key(7)));
    let stranger = enter(&mut table, "another");
    assert_eq!(table.attach(&stranger, &key(7)), None);
    let next = table.enter(guest.owner().clone(), Instant::now());
    table.leave(&guest);
    assert_eq!(table.attach(&next, &key(7)), Some(Fake(1)));
    assert_eq!(table.running_of(&next), [Fake(1)]);
    assert_eq!(table.attach(&next, &key(7)), None, "used up");
    assert!(!table.is_key_of(1, &key(7)));
}

#[test]
fn at_the_bound_of_detached_children_the_oldest_ended_one_makes_room() {
    let (mut table, guest) = table();
    for id in 1..=3 {
        start(&mut table, &guest, id).expect("there is room");
    }
    assert_eq!(table.detach(1, key(1)), Ok(None));
    assert_eq!(table.detach(2, key(2)), Ok(None));
    let full = Err(Refusal::Quota(Quota::LiveChildren));
    assert_eq!(table.detach(3, key(3)), full, "both run");
    finish(&mut table, 2);
    assert_eq!(table.detach(3, key(3)), Ok(Some(Fake(2))));
    assert_eq!(table.receipts(guest.owner()).len(), 1);
    assert_eq!(table.detach(2, key(4)), Err(Refusal::NoEntry));
}

#[test]
fn a_closed_table_admits_nobody_and_reports_a_child_that_came_late() {
    let (mut table, guest) = table();
    table.readmit(&guest, &quotas()).expect("it is open");
    let need = Need::default();
    table.take(&guest, &quotas(), need).expect("it is open");
    table.close();
    assert!(table.insert(1, &guest, Fake(1)), "the shutdown missed it");
    let shutdown = Err(Refusal::Shutdown);
    assert_eq!(table.admit(&guest, &quotas(), Instant::now()), shutdown);
    assert_eq!(table.readmit(&guest, &quotas()), shutdown);
    assert_eq!(table.detach(1, key(1)), Err(Refusal::Shutdown));
    assert_eq!(table.unfinished(), [Fake(1)]);
}

#[test]
fn an_owner_without_guests_and_children_is_forgotten() {
    let (mut table, guest) = table();
    start(&mut table, &guest, 1).expect("there is room");
    table.leave(&guest);
    assert_eq!(table.owners.counts().0, 1, "its child runs");
    table.release(1);
    finish(&mut table, 1);
    assert_eq!(table.owners.counts(), (0, 0));
    assert_eq!(table.guests.len(), 0);
}

//! Applies random operations to the table and to a simple model, and compares their
//! answers and counts.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::model::{CAPS, Child, Guest, Model};
use super::tests::{Fake, key, totals};
use super::*;

/// `max-live`, `max-total` and `max-held-children`.
const QUOTAS: [(u32, u64, u32); 4] = [(2, 6, 256), (3, 1000, 3), (1, 4, 2), (2, 1000, 1)];

/// An operation; each number selects an existing guest or child.
#[derive(Debug, Clone, Copy)]
enum Verb {
    Enter {
        owner: usize,
    },
    Leave {
        guest: usize,
    },
    Admit {
        guest: usize,
        quotas: usize,
    },
    Cancel {
        place: usize,
    },
    Insert {
        place: usize,
    },
    End {
        child: usize,
    },
    Complete {
        child: usize,
    },
    Observe {
        child: usize,
    },
    Release {
        child: usize,
    },
    Detach {
        child: usize,
    },
    Attach {
        guest: usize,
        child: usize,
    },
    Evict {
        owner: usize,
        bytes: usize,
        descriptors: usize,
    },
    Close,
}

fn verb() -> impl Strategy<Value = Verb> {
    let any = || 0usize..1000;
    prop_oneof![
        2 => any().prop_map(|owner| Verb::Enter { owner }),
        1 => any().prop_map(|guest| Verb::Leave { guest }),
        9 => (any(), any()).prop_map(|(guest, quotas)| Verb::Admit { guest, quotas }),
        1 => any().prop_map(|place| Verb::Cancel { place }),
        8 => any().prop_map(|place| Verb::Insert { place }),
        6 => any().prop_map(|child| Verb::End { child }),
        6 => any().prop_map(|child| Verb::Complete { child }),
        2 => any().prop_map(|child| Verb::Observe { child }),
        2 => any().prop_map(|child| Verb::Release { child }),
        3 => any().prop_map(|child| Verb::Detach { child }),
        3 => (any(), any()).prop_map(|(guest, child)| Verb::Attach { guest, child }),
        2 => (any(), 0usize..12, 0usize..3)
            .prop_map(|(owner, bytes, descriptors)| Verb::Evict { owner, bytes, descriptors }),
        1 => (0u8..20).prop_map(|n| if n == 0 { Verb::Close } else { Verb::Leave { guest: 0 } }),
    ]
}

/// The table, the model, and what both are called with.
struct Run {
    table: Table<Fake>,
    model: Model,
}

fn choose<T>(of: &[T], number: usize) -> Option<&T> {
    of.get(number.checked_rem(of.len())?)
}

fn ids(entries: Vec<Fake>) -> BTreeSet<u64> {
    entries.into_iter().map(|Fake(id)| id).collect()
}

fn id(entry: Option<Fake>) -> Option<u64> {
    entry.map(|Fake(id)| id)
}

impl Run {
    fn step(&mut self, verb: Verb) {
        let Self { table, model } = self;
        match verb {
            Verb::Enter { owner } => {
                let component = ["a", "b"][owner % 2];
                let key = table.enter(OwnerKey::new(component, ""), Instant::now());
                model.guests.push(Guest { key, total: 0 });
            }
            Verb::Leave { guest } => {
                let Some(guest) = choose(&model.guests, guest) else {
                    return;
                };
                let key = guest.key.clone();
                if model.places.contains(&key.scope) {
                    return;
                }
                table.leave(&key);
                model.guests.retain(|guest| guest.key.scope != key.scope);
                for child in &mut model.children {
                    child.guest = child.guest.filter(|scope| *scope != key.scope);
                }
            }
            Verb::Admit { guest, quotas } => {
                let Some(guest) = choose(&model.guests, guest) else {
                    return;
                };
                let key = guest.key.clone();
                let limits = QUOTAS[quotas % QUOTAS.len()];
                let quotas = Quotas {
                    max_live: limits.0,
                    max_total: limits.1,
                    max_held_children: limits.2,
                    ..Quotas::default()
                };
                let admitted = table.admit(&key, &quotas, Instant::now());
                let admitted = admitted.and_then(|()| {
                    let taken = table.take(&key, &quotas, Need::default());
                    taken.map(drop).inspect_err(|_| table.cancel(&key))
                });
                assert_eq!(admitted, model.admit(key.scope, limits));
            }
            Verb::Cancel { place } => {
                let Some((index, key)) = model.place(place) else {
                    return;
                };
                table.give_back_place(&key);
                table.cancel(&key);
                model.places.remove(index);
                let guest = model
                    .guests
                    .iter_mut()
                    .find(|guest| guest.key.scope == key.scope);
                guest.expect("it has not left").total -= 1;
            }
            Verb::Insert { place } => {
                let Some((index, key)) = model.place(place) else {
                    return;
                };
                model.places.remove(index);
                model.next += 1;
                let id = model.next;
                assert_eq!(table.insert(id, &key, Fake(id)), model.closed);
                model.children.push(Child {
                    id,
                    owner: key.owner().clone(),
                    guest: Some(key.scope),
                    phase: SlotPhase::Running,
                    observed: false,
                    released: false,
                    key: None,
                });
            }
            Verb::End { child } => {
                let Some(child) = model.choose(child, SlotPhase::Running) else {
                    return;
                };
                child.phase = SlotPhase::Ended;
                child.guest = None;
                table.end(child.id);
            }
            Verb::Complete { child } => {
                let Some(child) = model.choose(child, SlotPhase::Ended) else {
                    return;
                };
                child.phase = SlotPhase::Complete;
                let (number, released) = (child.id, child.released);
                let removed = id(table.complete(number));
                assert_eq!(removed, released.then_some(number));
                if released {
                    model.remove(number);
                }
            }
            Verb::Observe { child } => {
                let Some(child) = model.any(child) else {
                    return;
                };
                if child.phase != SlotPhase::Running {
                    child.observed = true;
                    table.observe(child.id);
                }
            }
            Verb::Release { child } => {
                let Some(child) = model.any(child) else {
                    return;
                };
                child.released = true;
                child.key = None;
                let (number, phase) = (child.id, child.phase);
                let complete = phase == SlotPhase::Complete;
                assert_eq!(id(table.release(number)), complete.then_some(number));
                if complete {
                    model.remove(number);
                }
            }
            Verb::Detach { child } => {
                // A handle that has detached its child does so no second time.
                let Some(child) = model.any(child) else {
                    return;
                };
                if child.key.is_some() || child.released {
                    return;
                }
                let number = child.id;
                model.next += 1;
                let new = key(model.next);
                let detached = table.detach(number, new).map(id);
                assert_eq!(detached, model.detach(number, new));
            }
            Verb::Attach { guest, child } => {
                let Some(guest) = choose(&model.guests, guest) else {
                    return;
                };
                let guest = guest.key.clone();
                let Some(child) = model.any(child) else {
                    return;
                };
                let Some(its) = child.key else { return };
                let own = child.owner == *guest.owner();
                assert_eq!(id(table.attach(&guest, &its)), own.then_some(child.id));
                if own {
                    child.key = None;
                    let runs = child.phase == SlotPhase::Running;
                    child.guest = runs.then_some(guest.scope);
                }
            }
            Verb::Evict {
                owner,
                bytes,
                descriptors,
            } => {
                let owner = OwnerKey::new(["a", "b"][owner % 2], "");
                let lack = Need {
                    bytes,
                    promised: 0,
                    descriptors,
                };
                let evicted = table.evict_holding(&owner, lack);
                let evicted: Vec<_> = evicted.into_iter().map(|Fake(id)| id).collect();
                assert_eq!(evicted, model.holding(&owner, lack));
                evicted.into_iter().for_each(|id| model.evict(id));
            }
            Verb::Close => {
                table.close();
                model.closed = true;
            }
        }
    }

    /// Every count of the table is what the model computes.
    fn check(&self) {
        let Self { table, model } = self;
        assert_eq!(table.len(), model.children.len());
        assert_eq!(table.reserved, model.places.len());
        assert_eq!(ids(table.unfinished()), model.unfinished());
        let unfinished = model.unfinished().len() + model.places.len();
        assert_eq!(table.unfinished, unfinished);
        assert_eq!(table.is_idle(), unfinished == 0);
        for guest in &model.guests {
            let own = |child: &&Child| child.guest == Some(guest.key.scope);
            let running: BTreeSet<u64> = model
                .children
                .iter()
                .filter(own)
                .map(|child| child.id)
                .collect();
            assert_eq!(ids(table.running_of(&guest.key)), running);
            assert_eq!(table.guests[&guest.key.scope].total, guest.total);
        }
        assert_eq!(table.guests.len(), model.guests.len());
        for component in ["a", "b"] {
            let owner = OwnerKey::new(component, "");
            let counts = table.owners.get(&owner).map_or((0, 0), Usage::counts);
            let held = model
                .children
                .iter()
                .filter(|child| child.owner == owner)
                .count();
            let starting = model.places.iter();
            let starting = starting.filter(|scope| *model.owner_of(**scope) == owner);
            let holdings = table.holdings(&owner);
            assert_eq!(holdings.children, held + starting.count());
            let draining = model.of(&owner, SlotPhase::Ended);
            assert_eq!(
                counts,
                (model.live(&owner), u32::try_from(draining).expect("few"))
            );
            let receipts = table.receipts(&owner).into_iter().map(|receipt| receipt.id);
            let own = model.receipts.iter().filter(|(of, _)| *of == owner);
            assert!(receipts.eq(own.map(|(_, id)| *id)));
            for child in model.children.iter().filter(|child| child.owner == owner) {
                let keyed = child.key.is_some_and(|key| table.is_key_of(child.id, &key));
                assert_eq!(keyed, child.key.is_some());
            }
        }
    }

    /// Ends all children and guests, and checks that nothing of any owner is left.
    fn wind_up(&mut self) {
        let Self { table, model } = self;
        for place in std::mem::take(&mut model.places) {
            let guest = model.guests.iter().find(|guest| guest.key.scope == place);
            let key = &guest.expect("it has not left").key;
            table.give_back_place(key);
            table.cancel(key);
        }
        for child in &model.children {
            if child.phase == SlotPhase::Running {
                table.end(child.id);
            }
            if child.phase != SlotPhase::Complete {
                table.complete(child.id);
            }
            table.release(child.id);
        }
        for guest in &model.guests {
            table.leave(&guest.key);
        }
        assert_eq!(table.len(), 0);
        assert!(table.is_idle() && table.guests.is_empty());
        assert_eq!(table.owners.counts(), (0, 0));
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 200,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_table_keeps_the_counts_of_the_model(verbs in prop::collection::vec(verb(), 1..160)) {
        let mut run = Run {
            table: Table::new(CAPS, totals()),
            model: Model::default(),
        };
        for verb in verbs {
            run.step(verb);
            run.check();
        }
        run.wind_up();
    }
}

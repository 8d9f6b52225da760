//! The arithmetic of accounts: one rule each, and a model of all of them.

use proptest::prelude::*;

use super::*;

const SHARE: Share = Share {
    bytes: 100,
    descriptors: 4,
};

fn bytes(bytes: usize) -> Need {
    Need {
        bytes,
        ..Need::default()
    }
}

fn promised(promised: usize) -> Need {
    Need {
        promised,
        ..Need::default()
    }
}

fn descriptors(descriptors: usize) -> Need {
    Need {
        descriptors,
        ..Need::default()
    }
}

#[test]
fn promises_beyond_the_share_are_made_and_share_it() {
    let totals = Totals::new(1000, 10);
    let account = Account::new(Arc::clone(&totals));
    let [mut one, mut two] = [(); 2].map(|()| {
        let taken = account.take(SHARE, promised(80));
        taken.expect("a promise fills nothing").0
    });
    assert_eq!(totals.bytes().0, 100, "the share, and no more, is taken");
    assert_eq!(one.keep(70), 70);
    assert_eq!(two.shortfall(40), 10);
    assert_eq!(two.keep(40), 30, "the rest of the share");
    assert_eq!(one.keep(1), 0);
    drop(one);
    assert_eq!(two.keep(90), 50, "the rest of its own promise");
    two.settle();
    drop(two);
    assert!(account.is_empty());
    assert_eq!(totals.bytes().0, 0);
}

#[test]
fn what_is_there_is_refused_over_the_share() {
    let account = Account::new(Totals::new(1000, 10));
    let mut first = account.take(SHARE, bytes(60)).expect("there is room").0;
    assert_eq!(account.lack(SHARE, bytes(50)), bytes(10));
    let refused = account.take(SHARE, bytes(50)).expect_err("over the share");
    assert_eq!(refused, Full::Share(Kind::Memory));
    drop(first.split(10, 0));
    let second = account.take(SHARE, bytes(50)).expect("there is room");
    assert_eq!(account.held().0, 100);
    assert_eq!(account.lack(SHARE, bytes(0)), Need::default());
    drop((first, second));
    assert!(account.is_empty());
}

#[test]
fn the_host_refuses_what_is_over_its_total_and_takes_nothing_from_another() {
    let totals = Totals::new(150, 6);
    let [one, two] = [(); 2].map(|()| Account::new(Arc::clone(&totals)));
    let (mut first, _) = one.take(SHARE, promised(100)).expect("there is room");
    let (mut second, _) = two.take(SHARE, promised(50)).expect("there is room");
    let refused = two.take(SHARE, promised(1)).expect_err("none is left");
    assert_eq!(refused, Full::Host);
    assert_eq!((first.keep(100), second.keep(50)), (100, 50));
    assert!(
        two.host_has(SHARE, promised(30), bytes(30)),
        "its own makes room"
    );
    assert!(!two.host_has(SHARE, promised(31), bytes(30)));
    drop(first);
    drop(two.take(SHARE, promised(1)).expect("it was given back"));

    let four = one.take(SHARE, descriptors(4)).expect("there is room");
    let refused = one.take(SHARE, descriptors(1)).expect_err("over the share");
    assert_eq!(refused, Full::Share(Kind::Descriptors));
    let refused = two.take(SHARE, descriptors(3)).expect_err("none is left");
    assert_eq!(refused, Full::Host);
    assert!(one.host_has(SHARE, descriptors(4), descriptors(2)));
    assert!(!two.host_has(SHARE, descriptors(3), Need::default()));
    drop(four);
    drop(two.take(SHARE, descriptors(3)).expect("it was given back"));
    drop(second);
    assert!(one.is_empty() && two.is_empty());
    assert_eq!((totals.bytes().0, totals.descriptors().0), (0, 0));
}

#[test]
fn a_refusal_for_one_kind_takes_nothing_of_the_other() {
    let account = Account::new(Totals::new(1000, 10));
    let need = Need {
        descriptors: 2,
        ..bytes(101)
    };
    let refused = account.take(SHARE, need).expect_err("over the share");
    assert_eq!(refused, Full::Share(Kind::Memory));
    assert!(account.is_empty());
}

#[test]
fn a_descriptor_counts_until_it_is_closed() {
    let account = Account::new(Totals::new(100, 10));
    let (_, mut own) = account.take(SHARE, descriptors(3)).expect("there is room");
    let (reader, writer) = rustix::pipe::pipe().expect("a pipe");
    let [reader, writer] = [reader, writer].map(|fd| Arc::new(own.with(fd)));
    drop(own);
    assert_eq!(account.held().1, 2);
    drop(Arc::clone(&reader));
    assert_eq!(account.held().1, 2, "it is open elsewhere");
    drop((reader, writer));
    assert!(account.is_empty());
}

/// One step; each number selects an existing charge.
#[derive(Debug, Clone, Copy)]
enum Step {
    Hold {
        owner: usize,
        share: usize,
        bytes: usize,
    },
    Promise {
        owner: usize,
        share: usize,
        bytes: usize,
    },
    Keep {
        charge: usize,
        bytes: usize,
    },
    Settle {
        charge: usize,
    },
    Split {
        charge: usize,
        bytes: usize,
    },
    Drop {
        charge: usize,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let any = || 0usize..1000;
    let bytes = || 0usize..60;
    prop_oneof![
        2 => (any(), any(), bytes()).prop_map(|(owner, share, bytes)| Step::Hold { owner, share, bytes }),
        4 => (any(), any(), bytes()).prop_map(|(owner, share, bytes)| Step::Promise { owner, share, bytes }),
        6 => (any(), bytes()).prop_map(|(charge, bytes)| Step::Keep { charge, bytes }),
        2 => any().prop_map(|charge| Step::Settle { charge }),
        1 => (any(), bytes()).prop_map(|(charge, bytes)| Step::Split { charge, bytes }),
        3 => any().prop_map(|charge| Step::Drop { charge }),
    ]
}

fn chosen(charges: &mut [Charge], number: usize) -> Option<&mut Charge> {
    let index = number.checked_rem(charges.len())?;
    charges.get_mut(index)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// After each step every account counts what its charges count, no owner reserves more than its
    /// largest share, and the total is the sum of the owners' and within its bound.
    #[test]
    fn the_counts_are_those_of_the_charges_and_nothing_leaks(
        steps in prop::collection::vec(step(), 1..120),
    ) {
        const SHARES: [usize; 2] = [100, 70];
        let totals = Totals::new(250, 0);
        let accounts: Vec<_> = (0..3).map(|_| Account::new(Arc::clone(&totals))).collect();
        let mut charges: Vec<Charge> = Vec::new();
        for step in steps {
            match step {
                Step::Hold { owner, share, bytes } | Step::Promise { owner, share, bytes } => {
                    let account = &accounts[owner % 3];
                    let share = Share { bytes: SHARES[share % 2], descriptors: 0 };
                    let need = match step {
                        Step::Hold { .. } => self::bytes(bytes),
                        _ => promised(bytes),
                    };
                    let has = account.host_has(share, need, Need::default());
                    let lack = account.lack(share, need);
                    let taken = account.take(share, need);
                    prop_assert_eq!(taken.is_ok(), has && lack == Need::default());
                    charges.extend(taken.ok().map(|(charge, _)| charge));
                }
                Step::Keep { charge, bytes } => {
                    if let Some(charge) = chosen(&mut charges, charge) {
                        let lacking = charge.shortfall(bytes);
                        let wanted = bytes.min(charge.promised - charge.kept);
                        prop_assert_eq!(charge.keep(bytes), wanted - lacking);
                    }
                }
                Step::Settle { charge } => {
                    if let Some(charge) = chosen(&mut charges, charge) {
                        charge.settle();
                    }
                }
                Step::Split { charge, bytes } => {
                    let part = chosen(&mut charges, charge).map(|it| it.split(bytes, bytes / 2));
                    charges.extend(part);
                }
                Step::Drop { charge } => {
                    if let Some(index) = charge.checked_rem(charges.len()) {
                        charges.swap_remove(index);
                    }
                }
            }
            let mut sum = 0;
            for account in &accounts {
                let own = || charges.iter().filter(|it| Arc::ptr_eq(&it.account, account));
                let held = account.held.lock();
                prop_assert_eq!(held.kept, own().map(|it| it.kept).sum::<usize>());
                prop_assert_eq!(held.promised, own().map(|it| it.promised).sum::<usize>());
                prop_assert!(held.kept <= held.reserved && held.reserved <= SHARES[0]);
                sum += held.reserved;
            }
            prop_assert_eq!(totals.bytes().0, sum);
            prop_assert!(sum <= 250);
        }
        drop(charges);
        prop_assert!(accounts.iter().all(|account| account.is_empty()));
        prop_assert_eq!(totals.bytes().0, 0);
    }
}

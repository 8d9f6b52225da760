//! The self-test finds breaches: a self-test that cannot would prove nothing.

use capspawn_raw::step::Fault;

use super::*;
use crate::sandbox::sys::linux::probe::findings::{PRIVILEGES, READ, SIGNAL, WRITE};
use crate::sandbox::sys::linux::spawner::default_user;

fn spawner() -> Spawner {
    Spawner::new(default_user(), false, Fault::NONE)
}

#[test]
fn without_a_confinement_the_self_test_finds_every_breach_but_privileges() {
    let spawner = spawner();
    let breaches = test(&spawner, &Policy::open()).expect("it starts");
    assert_eq!(breaches, !PRIVILEGES, "{breaches:#010b}");
}

/// The signal matters most: the filter allows it, and a root host would not receive it.
#[test]
fn without_landlock_the_self_test_opens_files_and_signals() {
    let spawner = spawner();
    let breaches = test_alone(&spawner, Tier::C).expect("it starts");
    assert_eq!(breaches, READ | WRITE | SIGNAL, "{breaches:#010b}");
    if landlock::abi() >= 6 {
        assert_eq!(test_alone(&spawner, Tier::B).expect("it starts"), 0);
    }
}

//! The self-test sees what is open: it is worth nothing where it cannot.

use super::*;
use crate::sandbox::sys::linux::probe::findings::{PRIVILEGES, READ, SIGNAL, WRITE};
use crate::sandbox::sys::linux::spawner::{NO_FAULT, default_user};

fn spawner() -> Spawner {
    Spawner::new(default_user(), false, NO_FAULT)
}

#[test]
fn without_a_confinement_the_probe_gets_through() {
    let spawner = spawner();
    let open = test(&spawner, &Policy::open()).expect("it starts");
    assert_eq!(open, !PRIVILEGES, "{open:#010b}");
}

/// The signal above all: the filter lets it through, and a root host is no target of it.
#[test]
fn without_landlock_the_probe_opens_files_and_signals() {
    let spawner = spawner();
    let open = test_alone(&spawner, Tier::C).expect("it starts");
    assert_eq!(open, READ | WRITE | SIGNAL, "{open:#010b}");
    if landlock::abi() >= 6 {
        assert_eq!(test_alone(&spawner, Tier::B).expect("it starts"), 0);
    }
}

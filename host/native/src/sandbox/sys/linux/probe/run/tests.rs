//! The self-test finds breaches: a self-test that cannot would prove nothing.

use std::sync::mpsc;
use std::time::Duration;

use capspawn_raw::step::Fault;
use rustix::process::geteuid;
use rustix::thread::{CapabilitySet, capabilities, set_capabilities};

use super::*;
use crate::sandbox::sys::linux::probe::findings::{PRIVILEGES, READ, SIGNAL, WRITE};
use crate::sandbox::sys::linux::spawner::default_user;

fn spawner() -> Spawner {
    Spawner::new(default_user(), false, Fault::NONE)
}

#[test]
fn without_a_confinement_the_self_test_finds_every_breach_but_privileges() {
    let spawner = spawner();
    let by_server = [false, landlock::has_signal_scope()];
    for by_server in by_server {
        let breaches = test(&spawner, &Policy::open(), by_server).expect("it starts");
        // The domain of the server has a scope for signals itself.
        let expected = if by_server {
            !(PRIVILEGES | SIGNAL)
        } else {
            !PRIVILEGES
        };
        assert_eq!(breaches, expected, "{by_server}: {breaches:#010b}");
    }
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

/// A container may take CAP_KILL from root. Only a root host needs it: others have the user
/// of their children.
#[test]
fn a_host_that_may_not_signal_its_children_is_refused_and_does_not_hang() {
    if !geteuid().is_root() {
        return;
    }
    let (sender, result) = mpsc::channel();
    // Capabilities belong to the thread.
    std::thread::spawn(move || {
        let mut sets = capabilities(None).expect("its own");
        sets.effective.remove(CapabilitySet::KILL);
        set_capabilities(None, sets).expect("a thread may give up a right");
        let Probed::Lasting(findings) = run(&spawner(), None) else {
            panic!("it is no shortage");
        };
        sender.send(findings.breaches).expect("the test waits");
    });
    let breaches = result.recv_timeout(Duration::from_secs(60));
    assert_eq!(breaches.expect("it returns"), Err(CannotSignal::HINT));
}

/// The tests in virtual machines have one where it is 0.
#[test]
fn the_setting_that_denies_sessions_is_named_and_tier_b_is_selected() {
    let setting = "user.max_user_namespaces";
    let value = std::fs::read_to_string("/proc/sys/user/max_user_namespaces");
    let denied = value.is_ok_and(|value| value.trim() == "0");
    let Probed::Lasting(best) = run(&spawner(), None) else {
        panic!("it is no shortage");
    };
    assert_eq!(best.session_hint.contains(setting), denied, "{best:?}");
    let Probed::Lasting(required) = run(&spawner(), Some(Tier::A)) else {
        panic!("it is no shortage");
    };
    if denied {
        assert_ne!(best.tier, Tier::A);
        assert_eq!(best.tier == Tier::B, landlock::abi() > 0);
        let hint = required.breaches.expect_err("there are no sessions");
        assert!(hint.contains(setting), "{hint}");
    } else {
        assert_eq!(best.tier == Tier::A, required.breaches == Ok(0));
    }
}

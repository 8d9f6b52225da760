//! Thousands of random operations with injected faults leave nothing behind.
//!
//! `CAPSPAWN_SOAK_OPERATIONS` is their number (4000 by default; a full run has
//! 20000). `CAPSPAWN_SOAK_SEED` repeats the choices of a run, though not its
//! timing. The faults: the host runs out of descriptors; the watchdog, a server or a process of a
//! session is killed; a child or a process of capspawn-init is killed while it starts. A failure
//! of `clone` or `mmap` cannot be caused from outside without affecting other
//! processes; the launcher's unit tests inject those at each stage.
//!
//! There is one test, because it counts the descriptors and children of the
//! whole process. It runs in each tier of the machine, or in the one that
//! `CAPSPAWN_REQUIRE_TIER` demands; as root once more as an unprivileged user.

mod driver;
mod faults;
mod fixture;
mod random;
mod remains;
mod tally;

use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use capspawn_native::Holdings;
use capspawn_native::launch::Launcher as _;
use capspawn_native::sandbox::{Confinement, NativeLauncher, Sandbox, Tier};
use driver::Driver;
use fixture::Fixture;
use random::Random;
use remains::{Remains, eventually};
use tally::Tally;
use test_kit::{assert_passes_unprivileged, is_root, required_tier};

/// Threads that operate at the same time.
const DRIVERS: u64 = 4;

#[test]
fn random_operations_with_faults_leave_nothing_behind() {
    let operations = number("CAPSPAWN_SOAK_OPERATIONS").unwrap_or(4000);
    let seed = number("CAPSPAWN_SOAK_SEED").unwrap_or_else(now);
    println!("CAPSPAWN_SOAK_OPERATIONS={operations} CAPSPAWN_SOAK_SEED={seed}");
    for tier in tiers() {
        println!("tier {tier}");
        survive(tier, operations, seed);
    }
    if is_root() {
        survive_unprivileged(operations, seed);
    }
}

/// The tier that the environment demands, or all that this machine has.
fn tiers() -> Vec<Tier> {
    if let Some(tier) = required_tier() {
        return vec![tier];
    }
    let has = |tier: &Tier| {
        let launcher = NativeLauncher::builder().tier(*tier).build();
        let report = launcher.enforcement(&Confinement::default());
        report.admits(Sandbox::Required)
    };
    let tiers: Vec<_> = [Tier::A, Tier::B].into_iter().filter(has).collect();
    assert!(!tiers.is_empty(), "this machine has no sandbox");
    tiers
}

fn survive(tier: Tier, operations: u64, seed: u64) {
    // The first registry of a process opens things that stay.
    drop(Fixture::new(tier));
    eventually("end of the first registry", || Remains::now().children == 0);
    let before = Remains::settled();
    assert_eq!(
        before.children, 0,
        "this process has children of another origin"
    );
    let tally = run(tier, operations, seed);
    println!("{tally:?}");
    assert!(tally.started > 0 && tally.ended > 0, "no child has run");
    assert!(
        tally.exhausted > 0 && tally.helpers_killed > 0 && tally.starts_killed > 0,
        "the faults had no effect"
    );
    eventually("return to the resources of before", || {
        Remains::now() == before
    });
    eventually("end of all descendants", || remains::survivors().is_empty());
}

fn run(tier: Tier, operations: u64, seed: u64) -> Tally {
    let fixture = Fixture::new(tier);
    let mut tally = Tally::default();
    thread::scope(|scope| {
        let drive = |number: u64| {
            let share = operations / DRIVERS;
            let random = Random::new(seed.wrapping_add(number));
            let fixture = &fixture;
            scope.spawn(move || Driver::new(fixture, number, random).drive(share))
        };
        let drivers: Vec<_> = (0..DRIVERS).map(drive).collect();
        for driver in drivers {
            tally += driver.join().expect("the driver does not panic");
        }
    });
    eventually("return of all slots and all that was held", || {
        fixture.registry.is_empty() && fixture.registry.host_holdings().held == Holdings::default()
    });
    tally
}

/// The launcher works without root privileges too, and then without capspawn-init.
fn survive_unprivileged(operations: u64, seed: u64) {
    assert_passes_unprivileged(|command| {
        command
            .arg("--nocapture")
            .env("CAPSPAWN_SOAK_OPERATIONS", operations.to_string())
            .env("CAPSPAWN_SOAK_SEED", seed.to_string());
    });
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().expect("the variable is a number"))
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

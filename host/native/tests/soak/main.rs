//! Thousands of random operations with faults injected leave nothing behind.
//!
//! `CAPSPAWN_SOAK_OPERATIONS` (4000 by default; the whole is 20000) bounds it,
//! `CAPSPAWN_SOAK_SEED` repeats the choices of a run, though not its timing.
//! Faults: no descriptor to be had, the watcher or a session killed, a child or its
//! helper killed while it starts. That `clone` or `mmap` fails cannot be brought about
//! from outside of the process without hitting its neighbours too; the launcher's
//! own tests inject those at each stage.
//!
//! One test: it counts the descriptors and children of the whole process.

#![expect(
    clippy::disallowed_types,
    reason = "the tests start processes of their own"
)]

mod driver;
mod faults;
mod random;
mod remains;
mod tally;
mod world;

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use capspawn_native::launch::Launcher as _;
use capspawn_native::sandbox::{Confinement, NativeLauncher, Sandbox, Tier};
use driver::Driver;
use random::Random;
use remains::{Remains, eventually};
use tally::Tally;
use world::World;

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
    if rustix::process::geteuid().is_root() {
        as_nobody(operations, seed);
    }
}

/// The tier that `CAPSPAWN_REQUIRE_TIER` demands, or those that this machine gives.
fn tiers() -> Vec<Tier> {
    if let Ok(tier) = std::env::var("CAPSPAWN_REQUIRE_TIER") {
        return vec![tier.parse().expect("it names a tier")];
    }
    let gives = |tier: &Tier| {
        let launcher = NativeLauncher::builder().tier(*tier).build();
        let report = launcher.enforcement(&Confinement::default());
        report.admits(Sandbox::Required)
    };
    let tiers: Vec<_> = [Tier::A, Tier::B].into_iter().filter(gives).collect();
    assert!(!tiers.is_empty(), "this machine confines nothing");
    tiers
}

fn survive(tier: Tier, operations: u64, seed: u64) {
    // What the first registry of a process opens for ever.
    drop(World::new(tier));
    eventually("the first world's end", || Remains::now().children == 0);
    let before = Remains::settled();
    assert_eq!(before.children, 0, "somebody else's children");
    let tally = run(tier, operations, seed);
    println!("{tally:?}");
    assert!(tally.started > 0 && tally.ended > 0, "nothing ran");
    assert!(
        tally.exhausted > 0 && tally.helpers_killed > 0 && tally.starts_killed > 0,
        "the faults had no effect"
    );
    eventually("the host as it was", || Remains::now() == before);
    eventually("no survivor", || remains::survivors().is_empty());
}

fn run(tier: Tier, operations: u64, seed: u64) -> Tally {
    let world = World::new(tier);
    let mut tally = Tally::default();
    thread::scope(|scope| {
        let drive = |number: u64| {
            let share = operations / DRIVERS;
            let random = Random::new(seed.wrapping_add(number));
            let world = &world;
            scope.spawn(move || Driver::new(world, number, random).drive(share))
        };
        let drivers: Vec<_> = (0..DRIVERS).map(drive).collect();
        for driver in drivers {
            tally += driver.join().expect("a driver panicked");
        }
    });
    eventually("free slots", || world.registry.is_empty());
    tally
}

/// The form without the helper: the same, as nobody.
fn as_nobody(operations: u64, seed: u64) {
    // The checkout may lie where only root gets to.
    let folder = tempfile::tempdir_in("/tmp").expect("/tmp is writable");
    let open = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(folder.path(), open).expect("the folder is ours");
    let copy = folder.path().join("soak");
    let own = std::env::current_exe().expect("it is running");
    std::fs::copy(own, &copy).expect("the folder is ours");
    let status = Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"])
        .args([&copy, Path::new("--nocapture")])
        .env("CAPSPAWN_SOAK_OPERATIONS", operations.to_string())
        .env("CAPSPAWN_SOAK_SEED", seed.to_string())
        .current_dir("/")
        .status()
        .expect("setpriv is installed");
    assert!(status.success(), "it fails as nobody");
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().expect("a number"))
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

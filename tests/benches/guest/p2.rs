//! Guests of version 0.2. The guest `measures` reports the time of one mode by its own
//! clock, so that compiling and instantiating it are left out.

use std::time::Duration;

use anyhow::Result;
use e2e::{TestHost, guests};

use crate::{TURNS, median, native, print_rates};

/// Read in each turn; the round trip takes four times as many, once.
const BYTES: u64 = 1 << 28;
const SPAWNS: u32 = 50;
const CALLS: u32 = 200_000;

const GRANT: &str = r#"
    version = 1
    [component.guest]
    sandbox = "none"
    max-total = 100000
    limits = { wall = "10min" }
    [[component.guest.command]]
    name = "true"
    program = "/bin/true"
    [[component.guest.command]]
    name = "cat"
    program = "/bin/cat"
    [[component.guest.command]]
    name = "head"
    program = "/usr/bin/head"
    args = [{ literal = "-c" }, "*", "/dev/zero"]
    [[component.guest.command]]
    name = "wc"
    program = "/usr/bin/wc"
    args = [{ literal = "-c" }]
"#;

/// Runs one mode of the guest `measures` and returns the time that it reports.
async fn measure(mode: &str, count: u64) -> Duration {
    let host = TestHost::new()
        .grant_toml(GRANT)
        .timeout(Duration::from_secs(600));
    let report = host
        .args([mode.to_owned(), count.to_string()])
        .run(guests::MEASURES)
        .await;
    report.assert_exit(0);
    let nanoseconds = report.stdout.trim().parse().expect("it prints a number");
    Duration::from_nanos(nanoseconds)
}

pub(crate) async fn read() -> Result<()> {
    let (mut guest, mut native) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        native.push(native::read(BYTES).await?);
        guest.push(measure("read", BYTES).await);
    }
    println!("child to guest 0.2, 256 MiB of `head -c 256M /dev/zero`, median of {TURNS} turns:");
    print_rates(BYTES, median(native), "guest, input-stream", median(guest));
    Ok(())
}

pub(crate) async fn both_ways() {
    let bytes = 4 * BYTES;
    let seconds = measure("both-ways", bytes).await.as_secs_f64();
    let rate = bytes as f64 / 1e6 / seconds;
    println!("through `cat` and back, 1 GiB with a checksum on both sides, once:");
    println!("  guest                        {rate:8.0} MB/s");
}

/// A pipeline of two children, with a pump in the guest and without.
pub(crate) async fn pipeline() {
    let modes = ["copied", "spliced", "passed"];
    let mut times = modes.map(|_| Vec::new());
    for _ in 0..TURNS {
        for (mode, times) in modes.iter().zip(&mut times) {
            times.push(measure(mode, BYTES).await);
        }
    }
    println!("`head -c 256M /dev/zero | wc -c`, median of {TURNS} turns:");
    let [copied, spliced, passed] = times.map(|times| BYTES as f64 / 1e6 / median(times));
    println!("  guest reads and writes       {copied:8.0} MB/s");
    println!("  guest splices                {spliced:8.0} MB/s");
    println!("  child to child               {passed:8.0} MB/s");
    println!(
        "  ratio to the faster pump     {:8.2}",
        passed / spliced.max(copied)
    );
}

pub(crate) async fn spawn() -> Result<()> {
    let (mut guest, mut native) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        native.push(native::spawn(SPAWNS)?);
        guest.push(measure("spawn", SPAWNS.into()).await);
    }
    let each = |total: f64| total * 1e6 / f64::from(SPAWNS);
    let (guest, native) = (each(median(guest)), each(median(native)));
    println!(
        "spawn and wait of `true`, no sandbox, output captured, median of {TURNS} turns of {SPAWNS}:"
    );
    println!("  std                          {native:8.0} us");
    println!("  guest                        {guest:8.0} us");
    println!("  ratio                        {:8.2}", guest / native);
    Ok(())
}

pub(crate) async fn call() {
    let (mut poll, mut nothing) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        nothing.push(measure("nothing", CALLS.into()).await);
        poll.push(measure("poll", CALLS.into()).await);
    }
    let each = |total: f64| total * 1e9 / f64::from(CALLS);
    let (poll, nothing) = (each(median(poll)), each(median(nothing)));
    println!("one call from the guest, median of {TURNS} turns of {CALLS}:");
    println!("  a host call that does nothing{nothing:8.0} ns");
    println!("  poll of a child that runs    {poll:8.0} ns");
}

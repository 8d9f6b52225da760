//! Limits the time of a program, and distinguishes a timeout from a crash.
//!
//! Usage: `with-timeout MILLISECONDS PROGRAM [ARGS]...`

use std::time::Duration;

use capspawn_guest::{Command, KillReason};

fn main() {
    let usage = "usage: with-timeout MILLISECONDS PROGRAM [ARGS]...";
    let mut args = std::env::args().skip(1);
    let milliseconds = args.next().and_then(|text| text.parse().ok()).expect(usage);
    let program = args.next().expect(usage);

    // The grant's limit still applies: a component can request less time, but not more.
    let output = Command::new(&program)
        .args(args)
        .timeout(Duration::from_millis(milliseconds))
        .output();
    match output.map(|output| output.status) {
        // Only an end by the host has a reason. A program that exits with 124, or is ended by
        // another signal, is distinct.
        Ok(status) if status.killed() == Some(KillReason::Timeout) => println!("too slow"),
        Ok(status) if status.success() => println!("in time"),
        Ok(status) => println!("failed in time: {status}"),
        Err(error) => println!("{program} did not run: {error}"),
    }
}

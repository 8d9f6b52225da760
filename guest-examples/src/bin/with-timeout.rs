//! Sets an option, and distinguishes a timeout from a crash.
//!
//! Usage: `with-timeout MILLISECONDS PROGRAM [ARGS]...`

use guest_examples::types::{ExitStatus, KillReason, SpawnOptions};
use guest_examples::{ending, reason, run};

fn main() {
    let usage = "usage: with-timeout MILLISECONDS PROGRAM [ARGS]...";
    let mut args = std::env::args().skip(1);
    let milliseconds: u64 = args.next().and_then(|text| text.parse().ok()).expect(usage);
    let program = args.next().expect(usage);
    let args: Vec<String> = args.collect();

    // The interface uses nanoseconds, as all of WASI does. The grant's limit still
    // applies: a component can request less time, but not more.
    let options = SpawnOptions::new();
    options.set_timeout(milliseconds * 1_000_000);

    match run::run(&program, &args, Some(&options)) {
        Ok(output) => match output.status {
            // Only an end by the host is `killed`, with the reason. A program that
            // exits with 124, or is ended by another signal, is distinct.
            ExitStatus::Killed(kill) if kill.reason == KillReason::Timeout => println!("too slow"),
            ExitStatus::Exited(0) => println!("in time"),
            other => println!("failed in time: {}", ending(other)),
        },
        Err(error) => println!("{program} did not run: {}", reason(&error)),
    }
}

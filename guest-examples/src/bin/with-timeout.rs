//! Options, and telling a timeout from a crash.
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

    // The interface counts in nanoseconds, as all of WASI does. The grant's own
    // limit stays in force: a component can ask for less time, not for more.
    let options = SpawnOptions::new();
    options.set_timeout(milliseconds * 1_000_000);

    match run::run(&program, &args, Some(&options)) {
        Ok(output) => match output.status {
            // Only the host says `killed`, and it says why: a program that
            // exits with 124 or dies of a signal of its own is not mistaken
            // for one that was too slow.
            ExitStatus::Killed(KillReason::Timeout) => println!("too slow"),
            ExitStatus::Exited(0) => println!("in time"),
            other => println!("failed in time: {}", ending(other)),
        },
        Err(error) => println!("{program} did not run: {}", reason(&error)),
    }
}

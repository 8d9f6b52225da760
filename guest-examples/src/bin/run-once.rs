//! The shortest way: one call runs a program to its end.
//!
//! Usage: `run-once PROGRAM [ARGS]...`, where PROGRAM is a name that the grant
//! lists: it is neither a path nor searched for.

use std::io::Write as _;

use guest_examples::{ending, reason, run};

fn main() {
    let mut args = std::env::args().skip(1);
    let program = args.next().expect("usage: run-once PROGRAM [ARGS]...");
    let args: Vec<String> = args.collect();

    // No options: no standard input, both outputs captured, and the working
    // directory, environment and time limit that the grant sets.
    match run::run(&program, &args, None) {
        // A program that ran and failed is a result, not an error.
        Ok(output) => {
            std::io::stdout()
                .write_all(&output.stdout.data)
                .expect("standard output is open");
            println!("{program} {}", ending(output.status));
        }
        Err(error) => println!("{program} did not run: {}", reason(&error)),
    }
}

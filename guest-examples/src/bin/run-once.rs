//! The shortest way: one call runs a program to its end.
//!
//! Usage: `run-once PROGRAM [ARGS]...`. PROGRAM is the name of a command in the
//! grant, not a path, and is not searched for.

use std::io::Write as _;

use guest_examples::{ending, reason, run};

fn main() {
    let mut args = std::env::args().skip(1);
    let program = args.next().expect("usage: run-once PROGRAM [ARGS]...");
    let args: Vec<String> = args.collect();

    // The defaults: no standard input, captured output, and the working directory,
    // environment and time limit of the grant.
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

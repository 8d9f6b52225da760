//! Runs a program to its end, and prints its output and how it ended.
//!
//! Usage: `run-once PROGRAM [ARGS]...`. PROGRAM is the name of a command in the
//! grant, not a path, and is not searched for.

use std::io::{Write as _, stdout};

use capspawn_guest::Command;

fn main() {
    let mut args = std::env::args().skip(1);
    let program = args.next().expect("usage: run-once PROGRAM [ARGS]...");

    // No standard input, all output, and the working directory, environment and time limit of
    // the grant.
    match Command::new(&program).args(args).output() {
        // A program that ran and failed is a result, not an error.
        Ok(output) => {
            let printed = stdout().write_all(&output.stdout);
            printed.expect("standard output is open");
            println!("{program}: {}", output.status);
        }
        Err(error) => println!("{program} did not run: {error}"),
    }
}

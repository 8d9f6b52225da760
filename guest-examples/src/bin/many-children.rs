//! Runs several children at once. The first one to end wins, and the others are killed.
//!
//! Usage: `many-children PROGRAM ARG...` starts PROGRAM once for each ARG.

use capspawn_guest::{Child, Command, exit, wait_any};

fn main() {
    let mut args = std::env::args().skip(1);
    let program = args.next().expect("usage: many-children PROGRAM ARG...");
    let args: Vec<String> = args.collect();

    let start = |arg| Command::new(&program).arg(arg).spawn();
    let children: Result<Vec<Child>, _> = args.iter().map(start).collect();
    // If one does not start, those before it are killed here.
    let mut children = children.unwrap_or_else(|error| {
        eprintln!("{program}: {error}");
        exit(1)
    });

    let (first, status) = wait_any(&mut children).expect("there is an ARG");
    println!("{program} {}: {status}", args[first]);
    // Dropping the children kills the others.
}

//! A filter: copies standard input to a program, and its output to standard output.
//!
//! Usage: `pipe-through PROGRAM [ARGS]...`
//!
//! The streams may have any length; memory use is constant. The pipes are the only
//! buffers, so a slow reader slows the program, and the program slows the writer.

use capspawn_guest::{Command, Stdio, exit};

fn main() {
    let mut args = std::env::args().skip(1);
    let program = args.next().expect("usage: pipe-through PROGRAM [ARGS]...");

    // Standard output and standard error are inherited too, which is the default of `status`.
    // While it waits, the library copies in both directions, so that no full pipe blocks.
    let status = Command::new(&program)
        .args(args)
        .stdin(Stdio::inherit())
        .status();
    match status {
        Ok(status) => match status.code() {
            Some(code) => exit(code),
            None => eprintln!("pipe-through: {program}: {status}"),
        },
        Err(error) => eprintln!("pipe-through: {program}: {error}"),
    }
    exit(1);
}

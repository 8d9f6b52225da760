//! A filter: what comes in goes through a program, and what that writes comes out.
//!
//! Usage: `pipe-through PROGRAM [ARGS]...`
//!
//! Streams of any length, in constant memory. A slow reader slows the program
//! down, and the program the writer: the pipes between are the only buffers.

use guest_examples::spawn::Child;
use guest_examples::types::{ExitStatus, SpawnOptions, Stdin, Stdio};
use guest_examples::{Link, connect, ending, exit, reason};
use wasip2::cli::{stdin, stdout};

fn main() {
    let mut args = std::env::args().skip(1);
    let program = args.next().expect("usage: pipe-through PROGRAM [ARGS]...");
    let args: Vec<String> = args.collect();

    // Standard error stays captured, so that it can be shown afterwards.
    let options = SpawnOptions::new();
    options.set_stdin(&Stdin::Piped);
    options.set_stdout(Stdio::Piped);
    let child = match Child::spawn(&program, &args, Some(&options)) {
        Ok(child) => child,
        Err(error) => {
            eprintln!("pipe-through: {program}: {}", reason(&error));
            exit(1);
        }
    };

    let input = Link {
        from: stdin::get_stdin(),
        to: child.take_stdin().expect("piped, and not taken before"),
    };
    let output = Link {
        from: child.take_stdout().expect("piped, and not taken before"),
        to: stdout::get_stdout(),
    };
    if let Err(error) = connect(vec![input], output) {
        eprintln!("pipe-through: {program}: {error}");
        exit(1);
    }

    // Its output has ended; so has the program, or it will in a moment.
    let status = child.wait(None);
    let (_, stderr) = child.captured(0, 0);
    eprint!("{}", String::from_utf8_lossy(&stderr.data));
    match status {
        Some(ExitStatus::Exited(code)) => exit((code & 0xff) as u8),
        Some(other) => eprintln!("pipe-through: {program} {}", ending(other)),
        None => unreachable!("without a timeout it waits for the end"),
    }
    exit(1);
}

//! A filter: copies standard input to a program, and its output to standard output.
//!
//! Usage: `pipe-through PROGRAM [ARGS]...`
//!
//! The streams may have any length; memory use is constant. The pipes are the only
//! buffers, so a slow reader slows the program, and the program slows the writer.

use guest_examples::spawn::Child;
use guest_examples::types::{ExitStatus, SpawnOptions, Stdin, Stdio};
use guest_examples::{Link, connect, ending, exit, reason};
use wasip2::cli::{stdin, stdout};

fn main() {
    let mut args = std::env::args().skip(1);
    let program = args.next().expect("usage: pipe-through PROGRAM [ARGS]...");
    let args: Vec<String> = args.collect();

    // Standard error stays captured, and is printed at the end.
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

    // The output has ended. The program has too, or will soon.
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

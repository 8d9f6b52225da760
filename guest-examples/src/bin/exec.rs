//! Runs a program, prints its output, and exits with its exit code.
//!
//! Usage: `exec PROGRAM [ARGS]...`. The exit code is the program's own or, as in
//! shells and `timeout`: 128 + n for signal n, 124 after the time limit, 125 if the
//! host could not run the program, 126 if it is denied, 127 if it does not exist.

use std::io::Write as _;

use guest_examples::types::{Capture, ErrorCode, ExitStatus, KillReason};
use guest_examples::{ending, exit, reason, run};

fn main() {
    let mut args = std::env::args().skip(1);
    let Some(program) = args.next() else {
        eprintln!("usage: exec PROGRAM [ARGS]...");
        exit(2);
    };
    let args: Vec<String> = args.collect();

    let output = match run::run(&program, &args, None) {
        Ok(output) => output,
        Err(error) => {
            eprintln!("exec: {program}: {}", reason(&error));
            exit(match error {
                ErrorCode::AccessDenied(_) | ErrorCode::NotExecutable => 126,
                ErrorCode::NoEntry => 127,
                _ => 125,
            });
        }
    };

    print(&mut std::io::stdout(), &output.stdout);
    print(&mut std::io::stderr(), &output.stderr);
    exit(match output.status {
        // Systems keep the low eight bits of an exit code.
        ExitStatus::Exited(code) => (code & 0xff) as u8,
        ExitStatus::Signaled(signal) => 128 + signal,
        ExitStatus::Killed(kill) => {
            eprintln!("exec: {program}: {}", ending(output.status));
            if kill.reason == KillReason::Timeout {
                124
            } else {
                128 + kill.signal.unwrap_or(9)
            }
        }
    });
}

/// Writes the captured bytes, and reports how many are missing.
fn print(to: &mut impl std::io::Write, capture: &Capture) {
    let written = to.write_all(&capture.data).and_then(|()| to.flush());
    if written.is_err() {
        exit(125);
    }
    if capture.dropped > 0 {
        let _ = writeln!(
            std::io::stderr(),
            "exec: {} bytes of output dropped",
            capture.dropped
        );
    }
}

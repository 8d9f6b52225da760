//! A child's output while it runs.
//!
//! Usage: `poll-progress PROGRAM [ARGS]...`
//!
//! The host collects what the child writes; the component asks for what is new
//! since the last time. Nothing gets lost and the child is never held up by a
//! component that is slow to ask.

use std::io::Write as _;

use guest_examples::spawn::Child;
use guest_examples::{ending, exit, reason};

/// How often to look: every 20 milliseconds, in nanoseconds.
const PERIOD: u64 = 20_000_000;

fn main() {
    let mut args = std::env::args().skip(1);
    let program = args.next().expect("usage: poll-progress PROGRAM [ARGS]...");
    let args: Vec<String> = args.collect();

    let child = match Child::spawn(&program, &args, None) {
        Ok(child) => child,
        Err(error) => {
            eprintln!("{program}: {}", reason(&error));
            exit(1);
        }
    };

    let (mut stdout_seen, mut stderr_seen) = (0, 0);
    loop {
        // Sleeps, but wakes up at once when the child ends.
        let status = child.wait(Some(PERIOD));

        let (stdout, stderr) = child.captured(stdout_seen, stderr_seen);
        stdout_seen += stdout.data.len() as u64;
        stderr_seen += stderr.data.len() as u64;
        if !stdout.data.is_empty() {
            print!(
                "[{stdout_seen} bytes] {}",
                String::from_utf8_lossy(&stdout.data)
            );
            std::io::stdout().flush().expect("standard output is open");
        }

        // The end of the child is not the end of its output: bytes may still be
        // on their way. `complete` says that they have all come.
        if let Some(status) = status
            && stdout.complete
            && stderr.complete
        {
            println!("{program} {}", ending(status));
            break;
        }
    }
    // Dropping the child here gives its slot back to the host.
}

//! Prints a child's output while it runs, and in the end what it used.
//!
//! Usage: `poll-progress PROGRAM [ARGS]...`
//!
//! The host captures the output, and the component reads the bytes that are new
//! since its last call. No bytes are lost, and a slow component never blocks the
//! child.

use std::io::Write as _;
use std::thread::sleep;
use std::time::{Duration, Instant};

use guest_examples::spawn::Child;
use guest_examples::{ending, exit, reason};

/// The time between two reads: 20 milliseconds, in nanoseconds.
const PERIOD: u64 = 20_000_000;

/// How long to wait for output after the child's end. The host stops reading after
/// 250 ms.
const DRAIN_TIMEOUT: Duration = Duration::from_millis(500);

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
    let mut ended = None;
    loop {
        // Waits for a period, or until the child ends.
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

        // Output may still arrive after the child's end. `complete` is true once all
        // of it has arrived. It stays false if another process holds the output open
        // and the host stopped reading.
        if let Some(status) = status {
            let ended = *ended.get_or_insert_with(Instant::now);
            if (stdout.complete && stderr.complete) || ended.elapsed() > DRAIN_TIMEOUT {
                println!("{program} {}", ending(status));
                // What the child and all that it started used. The host may not have
                // measured it.
                if let Some(nanoseconds) = child.usage().cpu_time {
                    eprintln!("{} ms of processor time", nanoseconds / 1_000_000);
                }
                break;
            }
            sleep(Duration::from_nanos(PERIOD));
        }
    }
    // Dropping the child releases its slot.
}

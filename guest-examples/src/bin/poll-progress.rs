//! A child's output while it runs.
//!
//! Usage: `poll-progress PROGRAM [ARGS]...`
//!
//! The host collects what the child writes; the component asks for what is new
//! since the last time. Nothing gets lost and the child is never held up by a
//! component that is slow to ask.

use std::io::Write as _;
use std::thread::sleep;
use std::time::{Duration, Instant};

use guest_examples::spawn::Child;
use guest_examples::{ending, exit, reason};

/// How often to look: every 20 milliseconds, in nanoseconds.
const PERIOD: u64 = 20_000_000;

/// How long after the child's end its output may still come: the host cuts it
/// off after a quarter of a second.
const CUT_OFF: Duration = Duration::from_millis(500);

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
        // on their way. `complete` says that they have all come, and never does
        // where the host had to cut off what still held the output open.
        if let Some(status) = status {
            let ended = *ended.get_or_insert_with(Instant::now);
            if (stdout.complete && stderr.complete) || ended.elapsed() > CUT_OFF {
                println!("{program} {}", ending(status));
                break;
            }
            sleep(Duration::from_nanos(PERIOD));
        }
    }
    // Dropping the child here gives its slot back to the host.
}

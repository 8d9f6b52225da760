//! Runs several children at once, and waits for all of them in one place.
//!
//! Usage: `many-children PROGRAM ARG...` starts PROGRAM once for each ARG, and prints
//! the results in the order in which the children end.

use guest_examples::spawn::Child;
use guest_examples::{ending, exit, reason};
use wasip2::io::poll::{Pollable, poll};

struct Job {
    arg: String,
    child: Child,
    ended: Pollable,
}

fn main() {
    let mut args = std::env::args().skip(1);
    let program = args.next().expect("usage: many-children PROGRAM ARG...");

    let mut jobs = Vec::new();
    for arg in args {
        match Child::spawn(&program, std::slice::from_ref(&arg), None) {
            Ok(child) => {
                let ended = child.subscribe();
                jobs.push(Job { arg, child, ended });
            }
            Err(error) => {
                eprintln!("{program} {arg}: {}", reason(&error));
                // Dropping the children that were started kills them.
                drop(jobs);
                exit(1);
            }
        }
    }

    while !jobs.is_empty() {
        // Blocks until at least one is ready, and returns which. The list could also
        // contain pollables of clocks and sockets.
        let pollables: Vec<&Pollable> = jobs.iter().map(|job| &job.ended).collect();
        let ready = poll(&pollables);
        // From the back, so that the earlier indices stay valid.
        for index in ready.into_iter().rev() {
            let job = jobs.remove(index as usize);
            // The child has ended, so the release returns at once and frees its
            // slot. The pollable may be dropped after its child.
            let status = Child::release(job.child);
            println!("{program} {}: {}", job.arg, ending(status));
        }
    }
}

//! Several children at once, and one place to wait for all of them.
//!
//! Usage: `many-children PROGRAM ARG...` starts PROGRAM once for every ARG, and
//! reports in the order in which they end.

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
                // The children started so far are dropped, and so killed.
                drop(jobs);
                exit(1);
            }
        }
    }

    while !jobs.is_empty() {
        // Blocks until at least one is ready, and says which. A clock's or a
        // socket's pollable could stand in the same list.
        let pollables: Vec<&Pollable> = jobs.iter().map(|job| &job.ended).collect();
        let ready = poll(&pollables);
        // From the back, so that the indices in front stay right.
        for index in ready.into_iter().rev() {
            let job = jobs.remove(index as usize);
            // Releasing frees the slot now and answers at once: it has ended.
            // The pollable may be dropped after its child.
            let status = Child::release(job.child);
            println!("{program} {}: {}", job.arg, ending(status));
        }
    }
}

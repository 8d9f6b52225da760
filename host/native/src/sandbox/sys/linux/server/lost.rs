//! A server of which no reply came, and the child that it may have started.
//!
//! The problem: the child may be anywhere between its clone and its program, so that it may have
//! neither its mark nor a process group, and nothing but the host can reap it.
//!
//! The way chosen: the server is killed, and starts nothing from then on. Until the child executes or ends, it
//! holds a copy of the server's end of their socket. When the host finds that end closed, the child has announced
//! itself and has its mark, or has ended. Each server has its children announce themselves with a number of its
//! own, so that those of other servers are left alone. A child that was killed before it
//! announced itself is reaped with the group of the servers.

use std::time::Duration;

use rustix::process::Pid;

use super::pool::Claimed;
use crate::sandbox::sys::linux::deadline::Deadline;
use crate::sandbox::sys::linux::own_children;
use crate::sandbox::sys::linux::reaper::in_background;

/// How long the caller waits for the end of both, which takes well below a millisecond unless the kernel holds one of
/// them, as on a file system that hangs: 1 s.
const END_TIME: Duration = Duration::from_secs(1);

/// How often announcements are looked for, and ended children reaped.
const INTERVAL: Duration = Duration::from_millis(1);
/// The same, after [`END_TIME`].
const LATE_INTERVAL: Duration = Duration::from_secs(1);

/// Kills the server and its child, and reaps the child. What has not ended after a second is left to a thread.
pub(crate) fn end_with_child(server: Claimed) {
    own_children::kill_alone(server.pid());
    let mut lost = Lost {
        server,
        children: Vec::new(),
    };
    if lost.end_within(END_TIME) {
        return lost.server.end();
    }
    in_background(move || {
        while !lost.end_once() {
            Deadline::after(LATE_INTERVAL).sleep();
        }
        lost.server.end();
    });
}

struct Lost {
    server: Claimed,
    /// Those that were killed and are not reaped yet.
    children: Vec<Pid>,
}

impl Lost {
    fn end_within(&mut self, time: Duration) -> bool {
        let deadline = Deadline::after(time);
        while !self.end_once() {
            if deadline.has_passed() {
                return false;
            }
            Deadline::after(INTERVAL).sleep();
        }
        true
    }

    /// Kills what has announced itself by now, and returns whether nothing is left.
    fn end_once(&mut self) -> bool {
        // First: what holds the socket now may announce itself at any time.
        let is_closed = !self.server.runs();
        for child in self.server.take_unreported() {
            own_children::kill(child);
            self.children.push(child);
        }
        self.children
            .retain(|child| !own_children::try_reap(*child));
        is_closed && self.children.is_empty()
    }
}

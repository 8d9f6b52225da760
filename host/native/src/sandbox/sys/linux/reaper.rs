//! Reaping of processes that have been ended and that nobody waits for.
//!
//! The problem: the process that a drop ends may be stopped, or hang in the kernel, and the thread
//! that drops may be the one on which everything else runs.
//!
//! The way chosen: a drop waits for a moment, which nearly always suffices, and leaves the rest to
//! a thread. Where no thread can be started the work stays in a list, and the next thread does it.
//! Rejected: to reap inline then, which blocks for as long as the process hangs.

use std::mem;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, kill_process_group, pidfd_send_signal, waitid,
};

use super::deadline::Deadline;
use super::own_children::reap_group;
use super::spawned::Spawned;

/// How long a drop waits itself for a process that ends by itself: 500 ms, of which a process that
/// runs needs one.
const MOMENT: Duration = Duration::from_millis(500);

/// How long a process that should end by itself may take before it is killed: 2 s.
const GRACE: Duration = Duration::from_secs(2);

type Work = Box<dyn FnOnce() + Send>;

/// What no thread could be started for.
static LEFT: Mutex<Vec<Work>> = Mutex::new(Vec::new());

/// Does `work` on a thread of its own, or at the next call if none can be started now.
pub(crate) fn in_background(work: impl FnOnce() + Send + 'static) {
    let mut works: Vec<Work> = vec![Box::new(work)];
    works.append(&mut LEFT.lock());
    let works = Arc::new(Mutex::new(works));
    let theirs = Arc::clone(&works);
    let thread = std::thread::Builder::new().name("capspawn-end".into());
    let started = thread.spawn(move || {
        for work in mem::take(&mut *theirs.lock()) {
            work();
        }
    });
    if let Err(error) = started {
        tracing::debug!(%error, "the reaping of ended processes is put off");
        LEFT.lock().append(&mut works.lock());
    }
}

/// Reaps a process that ends by itself, since its socket was closed. Kills it if it does not.
pub(crate) fn reap_ending(process: Spawned) {
    if ends_within(&process, MOMENT) {
        process.wait();
        return;
    }
    in_background(move || {
        if !ends_within(&process, GRACE) {
            let _ = pidfd_send_signal(&process.pidfd, Signal::KILL);
        }
        process.wait();
    });
}

/// Reaps all processes in the group of `leader`, which end by themselves. Kills them if they do
/// not, unless they `hold` something that ends first.
pub(crate) fn reap_ending_group(leader: &Spawned, hold: bool) {
    let group = leader.pid;
    if !hold && group_ends_within(group, MOMENT) {
        return;
    }
    in_background(move || {
        if !hold && !group_ends_within(group, GRACE) {
            // Whoever runs is an unreaped child of this process: no other group has the number.
            let _ = kill_process_group(group, Signal::KILL);
        }
        reap_group(group);
    });
}

/// Reaps the processes of a group until none is left, and returns whether that was in time.
fn group_ends_within(group: Pid, time: Duration) -> bool {
    const PAUSE: Duration = Duration::from_micros(200);
    let deadline = Deadline::after(time);
    while has_running(group) {
        if deadline.has_passed() {
            return false;
        }
        Deadline::after(PAUSE).sleep();
    }
    true
}

/// Reaps the processes of a group that have ended, and returns whether others run.
fn has_running(group: Pid) -> bool {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
    loop {
        match waitid(WaitId::Pgid(Some(group)), options) {
            Ok(Some(_)) | Err(Errno::INTR) => {}
            Ok(None) => return true,
            Err(_) => return false,
        }
    }
}

/// Waits until the process has ended, and returns whether it has.
fn ends_within(process: &Spawned, time: Duration) -> bool {
    let mut fds = [PollFd::new(&process.pidfd, PollFlags::IN)];
    Deadline::after(time).poll(&mut fds) == Ok(true)
}

//! What goes wrong from outside.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use capspawn_raw::wire::InitArgs;
use rustix::process::{
    Pid, PidfdFlags, Resource, Rlimit, Signal, getrlimit, pidfd_open, pidfd_send_signal, setrlimit,
};

use crate::random::Random;
use crate::remains::children;

/// Runs `work` while no descriptor from `limit` on can be had. One thread at a time.
pub(crate) fn short_of_descriptors<R>(limit: u64, work: impl FnOnce() -> R) -> R {
    let whole = getrlimit(Resource::Nofile);
    let low = Rlimit {
        current: Some(limit),
        ..whole
    };
    setrlimit(Resource::Nofile, low).expect("a lower limit is always possible");
    let result = work();
    setrlimit(Resource::Nofile, whole).expect("the hard limit stayed");
    result
}

/// The descriptors that are open now, about.
pub(crate) fn open_descriptors() -> u64 {
    let open = fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    u64::try_from(open).unwrap_or_default()
}

/// Kills the watcher or one of a session's two, if one runs.
pub(crate) fn kill_helper(random: &mut Random) -> bool {
    let helpers: Vec<_> = children()
        .into_iter()
        .filter(|pid| is_helper(*pid))
        .collect();
    random
        .index(helpers.len())
        .is_some_and(|chosen| kill(helpers[chosen]))
}

/// Whether it is the watcher, or the server or pid 1 of a session, by its `argv[0]`.
fn is_helper(pid: i32) -> bool {
    let arguments = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let own = arguments.split(|byte| *byte == 0).next();
    let task = own.and_then(InitArgs::read);
    matches!(task, Some(InitArgs::Watch { .. } | InitArgs::Session(_)))
}

/// Runs `start`, and kills what it starts at a random moment; says whether.
pub(crate) fn killed_while<R>(random: &mut Random, start: impl FnOnce() -> R) -> (R, bool) {
    let known = children();
    let delay = Duration::from_micros(random.below(1500));
    let begin = Instant::now();
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let killer = scope.spawn(|| {
            while begin.elapsed() < delay {
                std::hint::spin_loop();
            }
            loop {
                // Asked before the look, so that it looks once more after the start.
                let last = over.load(Ordering::Acquire);
                let new = children().into_iter().find(|pid| !known.contains(pid));
                if let Some(pid) = new {
                    return kill(pid);
                }
                if last {
                    return false;
                }
            }
        });
        let result = start();
        over.store(true, Ordering::Release);
        (result, killer.join().expect("the killer panicked"))
    })
}

/// Kills a child of this process, and nobody that has got its number since.
fn kill(pid: i32) -> bool {
    let Some(pidfd) = Pid::from_raw(pid).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok())
    else {
        return false;
    };
    is_child(pid) && pidfd_send_signal(pidfd, Signal::KILL).is_ok()
}

fn is_child(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // After the name in parentheses: the state, the parent.
    let parent = stat
        .rsplit(')')
        .next()
        .and_then(|rest| rest.split(' ').nth(2));
    parent == Some(&std::process::id().to_string())
}

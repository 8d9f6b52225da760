//! Faults that are injected from outside of the registry.

use std::fs;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use capspawn_raw::wire::InitArgs;
use rustix::process::{Resource, Rlimit, Signal, getrlimit, pidfd_send_signal, setrlimit};
use test_kit::{pidfd, try_children};

use crate::random::Random;

/// Runs `work` while this process can open no descriptor of the number `limit` or above. Only one
/// thread may call it.
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

/// The approximate number of open descriptors.
pub(crate) fn open_descriptors() -> u64 {
    let open = fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    u64::try_from(open).unwrap_or_default()
}

/// Kills the watchdog, a server, or the pid 1 of a session; returns whether there was one.
pub(crate) fn kill_helper(random: &mut Random) -> bool {
    let processes: Vec<_> = children()
        .into_iter()
        .filter(|pid| is_helper(*pid))
        .collect();
    random
        .index(processes.len())
        .is_some_and(|chosen| kill(processes[chosen]))
}

/// Whether it is the watchdog, a server in a session or outside, or the pid 1 of a session, by its `argv[0]`.
///
/// With the mount option `hidepid` an unprivileged user does not see it, because it is not dumpable.
/// Every other child is.
fn is_helper(pid: u32) -> bool {
    match fs::read(format!("/proc/{pid}/cmdline")) {
        Ok(arguments) => {
            let own = arguments.split(|byte| *byte == 0).next();
            let task = own.and_then(InitArgs::read);
            matches!(
                task,
                Some(InitArgs::Watch { .. } | InitArgs::Session(_) | InitArgs::Serve { .. })
            )
        }
        Err(error) => {
            let hidden = [io::ErrorKind::NotFound, io::ErrorKind::PermissionDenied];
            hidden.contains(&error.kind()) && children().contains(&pid)
        }
    }
}

/// The children of this process, or none while no descriptor is left to list them.
fn children() -> Vec<u32> {
    try_children().unwrap_or_default()
}

/// Runs `start`, and kills the process that it starts at a random moment; returns the result and
/// whether a process was killed.
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
                // Read before the children, so that they are read once more after the start.
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
        (result, killer.join().expect("the killer does not panic"))
    })
}

/// Kills the child `pid`, and no other process that has got its number since: a process that is a
/// child after the pidfd was opened is either the one that the pidfd refers to, or that one is gone.
fn kill(pid: u32) -> bool {
    let Some(pidfd) = pidfd(pid) else {
        return false;
    };
    children().contains(&pid) && pidfd_send_signal(pidfd, Signal::KILL).is_ok()
}

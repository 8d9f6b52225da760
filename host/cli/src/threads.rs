//! The threads that a run needs.
//!
//! Where no thread can be started, wasmtime's compiler, its cache and tokio panic, and some of them
//! wait for ever for the threads that did start. So the command starts as many as they need before
//! it does anything else, and reports a shortage itself.

use std::sync::mpsc;
use std::thread;

use anyhow::{Result, bail};

/// The threads of a run besides those that compile: wasmtime's cache, the clock, the registry, a
/// launch, the watch over denied paths, the end of idle sessions, and one that reads standard input or a file.
const LEAST: usize = 7;

/// Checks that the threads of a run can be started, and returns whether there are also as many as
/// a compilation on all processors takes.
///
/// # Errors
///
/// There are too few.
pub(crate) fn check() -> Result<bool> {
    let compiling = thread::available_parallelism().map_or(1, usize::from);
    let (startable, error) = start(LEAST + compiling);
    match error {
        Some(error) if startable < LEAST => bail!(
            "cannot start threads: {startable} of the {LEAST} that a run needs ({error}): raise the limit on processes of this user (RLIMIT_NPROC, `ulimit -u`) or the pids.max of its cgroup"
        ),
        error => Ok(error.is_none()),
    }
}

/// Starts `count` threads at once, ends them, and returns how many could be started and why not
/// more.
fn start(count: usize) -> (usize, Option<std::io::Error>) {
    let (mut started, mut failed) = (Vec::new(), None);
    for _ in 0..count {
        let (release, released) = mpsc::channel::<()>();
        let wait = move || {
            let _ = released.recv();
        };
        match thread::Builder::new()
            .name("capspawn-check".into())
            .spawn(wait)
        {
            Ok(thread) => started.push((release, thread)),
            Err(error) => {
                failed = Some(error);
                break;
            }
        }
    }
    let number = started.len();
    for (release, thread) in started {
        drop(release);
        let _ = thread.join();
    }
    (number, failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_that_can_be_started_are_counted_and_ended() {
        let (started, error) = start(LEAST);
        assert_eq!(started, LEAST);
        assert!(error.is_none());
    }
}

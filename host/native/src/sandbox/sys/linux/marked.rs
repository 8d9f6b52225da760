//! Finds the processes of a tree in `/proc` by their mark, and signals them.
//!
//! This is for a tree whose server was killed, so that no domain names it any more. A search sees
//! processes in the order of their numbers, and those that are forked meanwhile have higher ones,
//! so that it meets them too, unless the numbers begin anew at that moment. So it is repeated until two in a row find
//! nobody.

use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, pidfd_open, pidfd_send_signal};

use crate::launch::{TreeMark, is_shortage, locks_in, uid_in};
use crate::sandbox::sys::linux::reaper::in_background;
use crate::sandbox::sys::linux::signal::raw;
use crate::status::Signal;

/// For how long a tree is searched for that does not end, 10 s: one whose processes fork faster than a busy machine
/// finds them.
const SEARCH: Duration = Duration::from_secs(10);

/// Sends `signal` once to all processes with `mark`, and returns how many there were.
///
/// # Errors
///
/// `/proc` cannot be read.
pub(crate) fn signal(mark: &TreeMark, signal: Signal) -> io::Result<usize> {
    let mut found = 0;
    for entry in fs::read_dir("/proc")? {
        let entry = entry?;
        let name = entry.file_name();
        let pid = name.to_str().and_then(|name| name.parse().ok());
        let Some(pid) = pid.and_then(Pid::from_raw) else {
            continue;
        };
        if !has_locks(&entry.path(), mark)? {
            continue;
        }
        // Opened before the process is looked at once more: its number may be another's by now.
        let pidfd = match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(pidfd) => pidfd,
            Err(errno) if is_shortage(&errno.into()) => return Err(errno.into()),
            Err(_) => continue,
        };
        if is_of(&entry.path(), mark)? && pidfd_send_signal(&pidfd, raw(signal)).is_ok() {
            found += 1;
        }
    }
    Ok(found)
}

/// Kills all processes with `mark`. Those that are not found at once are searched for in the background: the
/// caller has no time.
///
/// # Errors
///
/// `/proc` cannot be read.
pub(crate) fn kill(mark: TreeMark) -> io::Result<()> {
    let mut passes = Passes::default();
    while signal(&mark, Signal::Kill)? == 0 {
        if passes.is_last(0) {
            return Ok(());
        }
    }
    in_background(move || {
        if let Err(error) = kill_all(&mark) {
            tracing::warn!(%error, "a tree whose server was killed cannot be ended");
        }
    });
    Ok(())
}

/// Kills all processes with `mark`, and returns once there are none.
fn kill_all(mark: &TreeMark) -> io::Result<()> {
    repeat(|| signal(mark, Signal::Kill))
}

/// Searches until two searches in a row have found nobody.
#[derive(Debug, Default)]
struct Passes {
    empty: u32,
}

impl Passes {
    /// Notes how many processes a search has found, and returns whether it was the last.
    fn is_last(&mut self, found: usize) -> bool {
        self.empty = if found == 0 { self.empty + 1 } else { 0 };
        self.empty == 2
    }
}

/// Repeats `search`, which returns how many processes it has found.
fn repeat(mut search: impl FnMut() -> io::Result<usize>) -> io::Result<()> {
    let start = Instant::now();
    let mut passes = Passes::default();
    while !passes.is_last(search()?) {
        if start.elapsed() > SEARCH {
            return Err(io::Error::other(
                "it starts processes faster than they are found",
            ));
        }
        std::thread::yield_now();
    }
    Ok(())
}

/// Whether a process has the limits of the mark, which few others have.
fn has_locks(folder: &Path, mark: &TreeMark) -> io::Result<bool> {
    let locks = read(&folder.join("limits"))?;
    Ok(locks_in(&locks) == Some(mark.locks()))
}

/// Whether a process has the mark, and has not ended.
fn is_of(folder: &Path, mark: &TreeMark) -> io::Result<bool> {
    let [limits, status, stat] = ["limits", "status", "stat"].map(|name| read(&folder.join(name)));
    let (limits, status, stat) = (limits?, status?, stat?);
    let is_of = || {
        let (runs, start) = run_and_start(&stat)?;
        Some(runs && mark.is_of(locks_in(&limits)?, uid_in(&status)?, start))
    };
    Ok(is_of().unwrap_or(false))
}

/// Returns whether a process has a task that runs, and when it was started.
fn run_and_start(stat: &[u8]) -> Option<(bool, u64)> {
    let name = stat.iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(stat.get(name + 1..)?).ok()?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    // proc(5) numbers the fields from 1; the state after the name is field 3. The first thread may have ended before others.
    let field = |number: usize| fields.get(number - 3).copied();
    let has_ended = matches!(field(3)?, "Z" | "X") && field(20)?.parse::<u64>().ok()? <= 1;
    Some((!has_ended, field(22)?.parse().ok()?))
}

/// Returns the content of a file; nothing if the process has ended.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    match fs::read(path) {
        Err(error) if !is_shortage(&error) => Ok(Vec::new()),
        content => content,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One may have been forked with a lower number than the search had come to, by one that then ended.
    #[test]
    fn one_search_that_finds_nobody_is_not_the_last() {
        let mut found = [2, 0, 1, 0, 0, 7].into_iter();
        repeat(|| Ok(found.next().expect("it ends"))).expect("it ends");
        assert_eq!(found.next(), Some(7));
    }

    #[test]
    fn a_zombie_is_told_from_a_process_whose_first_thread_has_ended() {
        let of = |state: &str, threads: u32| {
            let line =
                format!("12 (a) b) {state} 1 1 1 0 -1 0 1 0 0 0 5 6 7 8 20 0 {threads} 0 99 0 0");
            run_and_start(line.as_bytes())
        };
        assert_eq!(of("S", 1), Some((true, 99)));
        assert_eq!(of("Z", 1), Some((false, 99)));
        assert_eq!(of("Z", 2), Some((true, 99)));
        assert_eq!(run_and_start(b"12 (cut off"), None);
    }
}

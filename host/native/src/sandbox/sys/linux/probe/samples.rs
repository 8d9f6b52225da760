//! Whether the host's `/proc` shows the children, whose use of resources is sampled there.

use std::fs;

use rustix::process::{geteuid, getpid};

use crate::confinement::Tier;
use crate::shortage::Shortage;

const NO_PROC_HINT: &str = "mount a /proc of the host's own pid namespace";
const HIDDEN_HINT: &str =
    "mount /proc without `hidepid`, or give the host's group access with `gid=`";

/// Returns whether samples see every child in `tier`; else what the operator can do about it.
///
/// # Errors
///
/// What the host is too short of to find out.
pub(crate) fn see_children(tier: Tier) -> Result<Result<(), &'static str>, Shortage> {
    let own = read("/proc/self/stat")?;
    let mounts = read("/proc/self/mountinfo")?;
    let pid = getpid().as_raw_nonzero().get();
    // With `hidepid` a host without the right to trace a process does not see it, and a child can
    // take that right away (PR_SET_DUMPABLE). In a session the host that made it keeps the right.
    let traces_children = tier == Tier::A && !geteuid().is_root();
    let can_trace = traces_children || !read("/proc/1/stat")?.is_empty();
    Ok(see(&own, pid, &mounts, can_trace))
}

/// Returns the content of a file; nothing if it is missing or hidden.
fn read(path: &str) -> Result<Vec<u8>, Shortage> {
    fs::read(path).or_else(|error| match Shortage::within(&error) {
        Some(shortage) => Err(shortage),
        None => Ok(Vec::new()),
    })
}

fn see(own: &[u8], pid: i32, mounts: &[u8], can_trace: bool) -> Result<(), &'static str> {
    if !own.starts_with(format!("{pid} ").as_bytes()) {
        return Err(NO_PROC_HINT);
    }
    if hides_processes(mounts) && !can_trace {
        return Err(HIDDEN_HINT);
    }
    Ok(())
}

/// Whether the last mount on `/proc` has the option `hidepid`.
fn hides_processes(mounts: &[u8]) -> bool {
    let on_proc = |line: &&[u8]| line.split(|byte| *byte == b' ').nth(4) == Some(b"/proc");
    let last = mounts.split(|byte| *byte == b'\n').rfind(on_proc);
    let options = last.and_then(|line| line.rsplit(|byte| *byte == b' ').next());
    let mut options = options.unwrap_or_default().split(|byte| *byte == b',');
    options.any(|option| {
        option.starts_with(b"hidepid=") && option != b"hidepid=0" && option != b"hidepid=off"
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: &[u8] = b"22 1 0:20 / /proc rw,relatime - proc proc rw\n";
    const HIDING: &[u8] =
        b"22 1 0:20 / /proc rw - proc proc rw\n23 1 0:21 / /proc rw - proc proc rw,hidepid=2\n\
          24 1 0:22 / /x rw - proc proc rw\n";

    #[test]
    fn this_process_is_in_its_proc() {
        for tier in [Tier::A, Tier::B] {
            // Tests may run where processes are hidden.
            let seen = see_children(tier).expect("nothing is short");
            assert!(seen == Ok(()) || seen == Err(HIDDEN_HINT), "{seen:?}");
        }
    }

    #[test]
    fn a_proc_that_is_missing_or_of_another_namespace_shows_no_children() {
        assert_eq!(see(b"7 (a) S", 7, PLAIN, false), Ok(()));
        assert_eq!(see(b"", 7, PLAIN, true), Err(NO_PROC_HINT));
        assert_eq!(see(b"70 (a) S", 7, PLAIN, true), Err(NO_PROC_HINT));
    }

    #[test]
    fn hidden_processes_are_seen_only_by_a_host_that_can_trace_them() {
        assert_eq!(see(b"7 (a) S", 7, HIDING, false), Err(HIDDEN_HINT));
        assert_eq!(see(b"7 (a) S", 7, HIDING, true), Ok(()));
        let off = b"22 1 0:20 / /proc rw - proc proc rw,hidepid=off\n";
        assert_eq!(see(b"7 (a) S", 7, off, false), Ok(()));
    }
}

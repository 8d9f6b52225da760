//! What the kernel says about processes: of this one, and of those that a test
//! has started.
//!
//! A process that `/proc` hides from the test's user (mount option `hidepid`)
//! is not found.

use std::ffi::OsStr;
use std::fs::{self, DirEntry};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;

use rustix::process::{Pid, PidfdFlags, geteuid, pidfd_open};

/// Whether the test runs as root.
#[must_use]
pub fn is_root() -> bool {
    geteuid().is_root()
}

/// The number of open descriptors of this process.
///
/// # Panics
///
/// `/proc` is not mounted.
#[must_use]
pub fn descriptors() -> usize {
    let open = fs::read_dir("/proc/self/fd").expect("/proc is mounted");
    open.count()
}

/// The process ids of the children of all threads, zombies included.
///
/// # Panics
///
/// `/proc` is not mounted, or no descriptor is left to read it.
#[must_use]
pub fn children() -> Vec<u32> {
    try_children().expect("/proc can be read")
}

/// The process ids of the children of the calling thread alone, zombies
/// included: those that other tests start at the same time are not among them.
///
/// # Panics
///
/// `/proc` is not mounted, or the kernel lacks `CONFIG_PROC_CHILDREN`.
#[must_use]
pub fn children_of_this_thread() -> Vec<u32> {
    let list = fs::read_to_string("/proc/thread-self/children");
    pids(&list.expect("the kernel has CONFIG_PROC_CHILDREN")).collect()
}

fn pids(list: &str) -> impl Iterator<Item = u32> {
    list.split_whitespace().filter_map(|pid| pid.parse().ok())
}

/// The same as [`children`], for a test that exhausts its descriptors.
///
/// # Errors
///
/// `/proc` cannot be read.
pub fn try_children() -> io::Result<Vec<u32>> {
    let mut all = Vec::new();
    for task in fs::read_dir("/proc/self/task")? {
        match fs::read_to_string(task?.path().join("children")) {
            Ok(list) => all.extend(pids(&list)),
            // The thread has ended since the folder was listed.
            Err(error) if is_gone(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(all)
}

fn is_gone(error: &io::Error) -> bool {
    const ESRCH: i32 = rustix::io::Errno::SRCH.raw_os_error();
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(ESRCH)
}

/// Whether the process `pid` exists and is not a zombie.
#[must_use]
pub fn is_alive(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"));
    // The state follows the name, which is in parentheses and may contain some.
    stat.is_ok_and(|stat| {
        let state = stat.rsplit(") ").next();
        state.is_some_and(|state| !state.starts_with('Z'))
    })
}

/// Opens a pidfd of the process `pid`; none where there is no such process.
#[must_use]
pub fn pidfd(pid: u32) -> Option<OwnedFd> {
    let pid = Pid::from_raw(i32::try_from(pid).ok()?)?;
    pidfd_open(pid, PidfdFlags::empty()).ok()
}

/// The processes of this machine that have `argument` among their arguments.
///
/// A test finds its own by an argument that no other process has, such as a
/// `sleep` of an odd time.
///
/// # Panics
///
/// `/proc` is not mounted.
#[must_use]
pub fn with_argument(argument: &str) -> Vec<u32> {
    with_word("cmdline", argument.as_bytes())
}

/// The processes of this machine whose arguments are exactly `arguments`, their
/// own name included.
///
/// # Panics
///
/// `/proc` is not mounted.
#[must_use]
pub fn with_arguments(arguments: &[&str]) -> Vec<u32> {
    let list: String = arguments.iter().map(|it| format!("{it}\0")).collect();
    matching("cmdline", |bytes| bytes == list.as_bytes())
}

/// The processes of this machine in whose environment `name` is `value`.
///
/// A zombie has no environment, and neither has a process that is just being
/// replaced by `execve`.
///
/// # Panics
///
/// `/proc` is not mounted.
#[must_use]
pub fn with_variable(name: &str, value: &str) -> Vec<u32> {
    with_word("environ", format!("{name}={value}").as_bytes())
}

/// The processes whose `file` in `/proc` has `word` among its NUL-separated
/// words.
fn with_word(file: &str, word: &[u8]) -> Vec<u32> {
    let has_word = |bytes: &[u8]| bytes.split(|byte| *byte == 0).any(|other| other == word);
    matching(file, has_word)
}

/// The processes whose `file` in `/proc` meets `condition`.
fn matching(file: &str, condition: impl Fn(&[u8]) -> bool) -> Vec<u32> {
    let of_process = |entry: DirEntry| {
        let pid = pid(&entry.file_name())?;
        let content = fs::read(entry.path().join(file)).ok()?;
        condition(&content).then_some(pid)
    };
    let entries = fs::read_dir("/proc").expect("/proc is mounted");
    entries.flatten().filter_map(of_process).collect()
}

fn pid(name: &OsStr) -> Option<u32> {
    std::str::from_utf8(name.as_bytes()).ok()?.parse().ok()
}

/// The numbers that a script has printed, one on each line.
#[must_use]
pub fn numbers(output: &[u8]) -> Vec<u32> {
    let text = String::from_utf8_lossy(output);
    let lines = text.lines();
    lines.filter_map(|line| line.trim().parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;
    use crate::wait::eventually;

    #[test]
    fn a_child_is_found_by_argument_variable_and_parent_until_it_is_reaped() {
        let odd = format!("600.{}", std::process::id());
        let mut child = Command::new("/bin/sleep")
            .arg(&odd)
            .env("TEST_KIT_MARK", &odd)
            .stdin(Stdio::null())
            .spawn()
            .expect("sleep is installed");
        let pid = child.id();
        eventually("its arguments", || with_argument(&odd) == [pid]);
        assert_eq!(with_arguments(&["/bin/sleep", &odd]), [pid]);
        assert_eq!(with_arguments(&[&odd]), [0; 0]);
        assert_eq!(with_variable("TEST_KIT_MARK", &odd), [pid]);
        assert!(children().contains(&pid) && is_alive(pid) && self::pidfd(pid).is_some());

        child.kill().expect("it runs");
        eventually("its end", || !is_alive(pid));
        assert!(children().contains(&pid), "a zombie is still a child");
        assert_eq!(children_of_this_thread(), [pid]);
        child.wait().expect("it was killed");
        assert!(!children().contains(&pid));
        assert_eq!(with_argument(&odd), [0; 0]);
    }

    #[test]
    fn numbers_are_read_line_by_line() {
        assert_eq!(numbers(b"12\nx\n 7\n"), [12, 7]);
    }
}

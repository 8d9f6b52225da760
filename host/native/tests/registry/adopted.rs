//! A host that is pid 1 or a subreaper becomes the parent of its children's orphans.

use std::process::{Command, Stdio};

use capspawn_native::ExitStatus;
use rustix::process::{getpid, set_child_subreaper};

use crate::support::*;

/// Ends a grandchild that has lost its parent, reports its number, and waits for a line.
const ORPHAN: &str = "sh -c 'sh -c \"echo \\$\\$\" &'; echo done; read line";

/// The state of a process, as `/proc/PID/stat` has it; none if it is gone.
fn state(pid: u32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

#[test]
fn adopted_processes_are_reaped_and_other_children_of_the_host_are_not() {
    if !is_alone(test_name!()) {
        return;
    }
    set_child_subreaper(Some(getpid())).expect("any process may");
    // A child of the embedder, which has ended and for which nobody has waited.
    let mut other = Command::new("/bin/sh");
    let mut other = other
        .args(["-c", "exit 7"])
        .stdin(Stdio::null())
        .spawn()
        .expect("it starts");
    eventually("the end of the other child", || {
        state(other.id()) == Some('Z')
    });
    let registry = registry();
    let guest = registry.guest(grant("test", ""), "");
    let mut request = sh(ORPHAN);
    request.stdin = capspawn_native::Stdin::Piped;
    let child = guest.spawn(&request).expect("it starts");
    eventually("the orphan", || {
        let text = String::from_utf8(stdout(&child)).expect("text");
        text.contains("done") && !numbers(text.as_bytes()).is_empty()
    });
    let orphan = numbers(&stdout(&child))[0];
    // While the leader runs.
    eventually("the end of the orphan", || state(orphan).is_none());
    assert_eq!(child.poll(), None);
    drop(child.take_stdin().expect("a pipe"));
    // The leader's status is its supervisor's.
    assert!(matches!(ended(&child), ExitStatus::Exited(_)));
    assert_eq!(state(other.id()), Some('Z'));
    let status = other.wait().expect("it is still to be waited for");
    assert_eq!(status.code(), Some(7));
}

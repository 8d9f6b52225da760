//! Children of the host that are known by their numbers: servers, pid 1 of a session, and children that no reply
//! has reported.
//!
//! A number stays its process's until the host has reaped that. Other code of the host may reap any child, so
//! each signal is preceded by a look whether the number is still that of a child. Rejected: a pidfd for each,
//! which is one more descriptor for each guest.

use rustix::io::{Errno, retry_on_intr};
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, kill_process, kill_process_group, waitid,
};

/// The state of a child.
enum State {
    Runs,
    Ended,
    /// It was reaped, or is no child.
    Gone,
}

fn state(pid: Pid) -> State {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    match retry_on_intr(|| waitid(WaitId::Pid(pid), options)) {
        Ok(None) => State::Runs,
        Ok(Some(_)) => State::Ended,
        Err(_) => State::Gone,
    }
}

/// Returns whether the number is that of a child that has not ended.
pub(crate) fn runs(pid: Pid) -> bool {
    matches!(state(pid), State::Runs)
}

/// Kills a child that runs, and the process group that it leads.
pub(crate) fn kill(pid: Pid) {
    // The group may outlive its leader, which keeps the number until it is reaped.
    if !matches!(state(pid), State::Gone) {
        let _ = kill_process_group(pid, Signal::KILL);
    }
    // It may not lead a group yet.
    kill_alone(pid);
}

/// Kills a child that runs, and no other process.
pub(crate) fn kill_alone(pid: Pid) {
    if runs(pid) {
        let _ = kill_process(pid, Signal::KILL);
    }
}

/// Waits for the end of a child that nothing else in the host holds.
pub(crate) fn reap(pid: Pid) {
    let _ = retry_on_intr(|| waitid(WaitId::Pid(pid), WaitIdOptions::EXITED));
}

/// Reaps a child that has ended. Returns false if it runs.
pub(crate) fn try_reap(pid: Pid) -> bool {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
    !matches!(
        retry_on_intr(|| waitid(WaitId::Pid(pid), options)),
        Ok(None)
    )
}

/// Waits until all children in the process group of `leader` have ended, and reaps them.
pub(crate) fn reap_group(leader: Pid) {
    let group = || WaitId::Pgid(Some(leader));
    while let Ok(_) | Err(Errno::INTR) = waitid(group(), WaitIdOptions::EXITED) {}
}

#[cfg(test)]
#[expect(
    clippy::disallowed_types,
    reason = "the tests start processes of their own"
)]
mod tests {
    use std::os::unix::process::CommandExt as _;
    use std::process::Command;

    use super::*;

    fn sleeper() -> Pid {
        let mut command = Command::new("/bin/sleep");
        let child = command.arg("1000").process_group(0).spawn();
        Pid::from_child(&child.expect("it starts"))
    }

    #[test]
    fn a_child_is_reaped_once_it_has_ended_and_not_before() {
        let pid = sleeper();
        assert!(runs(pid) && !try_reap(pid));
        kill(pid);
        reap_group(pid);
        assert!(!runs(pid) && try_reap(pid), "nothing is left of it");
    }
}

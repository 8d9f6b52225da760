//! Whether any process of a session has lost its parent.
//!
//! The problem: when a child has ended, what it left running has to be killed, and few children
//! leave anything. A signal to the child's domain makes the kernel go through all
//! processes of the machine, and the next child may have to wait for that.
//!
//! The way chosen: what a tree leaves behind has processes whose parent has ended, and the kernel
//! makes these children of the session's pid 1, which has no other children. The kernel lists
//! them in one file of `/proc`. Rejected: the list of the namespace's processes, which grows with
//! the children that run.

use std::path::PathBuf;

use rustix::fs::{Mode, OFlags, open};
use rustix::io::{Errno, retry_on_intr};

/// The list of the processes of a session that lost their parents.
#[derive(Debug)]
pub(crate) struct Orphans {
    list: PathBuf,
}

impl Orphans {
    /// Returns the orphans of the session whose pid 1 has the number `pid_1` on the host. That number
    /// must not be another process's as long as the value is used.
    pub(crate) fn of(pid_1: u32) -> Self {
        Self {
            list: format!("/proc/{pid_1}/task/{pid_1}/children").into(),
        }
    }

    /// Returns whether there is none, and so whether no child that has ended has left a process. False where that
    /// cannot be found out: `/proc` may hide the processes of other users, or be missing.
    pub(crate) fn are_none(&self) -> bool {
        let first = || -> Result<usize, Errno> {
            let file = open(&self.list, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
            retry_on_intr(|| rustix::io::read(&file, &mut [0; 1]))
        };
        first() == Ok(0)
    }
}

#[cfg(test)]
#[expect(
    clippy::disallowed_types,
    reason = "the tests start processes of their own"
)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn only_a_process_without_children_has_no_orphans() {
        let mut parent = Command::new("/bin/sh")
            .args([
                "-c",
                "sleep 1000 & echo; read line; kill $!; wait; echo; read line",
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let orphans = Orphans::of(parent.id());
        let mut stdout = parent.stdout.take().expect("a pipe");
        let mut read = || std::io::Read::read_exact(&mut stdout, &mut [0]).expect("a line");
        read();
        assert!(!orphans.are_none());
        let mut stdin = parent.stdin.take().expect("a pipe");
        std::io::Write::write_all(&mut stdin, b"\n").expect("it reads");
        read();
        assert!(orphans.are_none());
        drop(stdin);
        parent.wait().expect("it ends");
    }

    #[test]
    fn nothing_is_known_of_a_process_that_does_not_exist() {
        assert!(!Orphans::of(u32::MAX).are_none());
    }
}

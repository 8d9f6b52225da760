//! How many tasks each user has, for the limit on a child's tasks outside a session.
//!
//! The problem: the tasks of a tree are sampled, and between two samples a fork loop makes
//! thousands. The kernel refuses a fork at once by `RLIMIT_NPROC`, but it counts all tasks of
//! the user, those of other programs too.
//!
//! The way chosen: the limit is what the user has now, and the child's own, and [`SLACK`].
//! Rejected: the child's own alone, with which no child of a user with a desktop could fork;
//! and a user for each child, which an unprivileged host cannot have.

use std::collections::BTreeMap;
use std::io;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rustix::fs::{AtFlags, Dir, Mode, OFlags, open, statat};

/// The tasks that the user's other programs, and other children, may start while the child runs. A fork of the child
/// fails beyond that, although the child is within its own limit; so it is large. A fork loop makes as many more.
const SLACK: u64 = 1024;

/// How long a count is used: it takes about 3 µs for each process of the system.
const COUNT_LASTS: Duration = Duration::from_secs(1);

/// The latest count.
#[derive(Debug, Default)]
pub(crate) struct UserTasks(Mutex<Option<Count>>);

#[derive(Debug)]
struct Count {
    at: Instant,
    by_user: BTreeMap<u32, u64>,
}

impl UserTasks {
    /// Returns the most tasks that the user `uid` may have, as `RLIMIT_NPROC` counts them, with a child that may have
    /// `tasks`. None where the kernel does not apply it (user id 0), or where the tasks cannot be counted.
    pub(crate) fn limit(&self, uid: u32, tasks: u64) -> Option<u64> {
        if uid == 0 {
            return None;
        }
        let slack = tasks.max(SLACK);
        Some(self.of(uid)?.saturating_add(tasks).saturating_add(slack))
    }

    fn of(&self, uid: u32) -> Option<u64> {
        let mut latest = self.0.lock();
        let is_current = |count: &Count| count.at.elapsed() < COUNT_LASTS;
        if !latest.as_ref().is_some_and(is_current) {
            *latest = count().ok().map(|by_user| Count {
                at: Instant::now(),
                by_user,
            });
        }
        let count = latest.as_ref()?;
        Some(count.by_user.get(&uid).copied().unwrap_or(0))
    }
}

/// Counts the tasks of each user, in `/proc`. A process that cannot be traced (`PR_SET_DUMPABLE`) counts as root's there:
/// the slack covers the few of them.
fn count() -> io::Result<BTreeMap<u32, u64>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let proc = open("/proc", flags, Mode::empty())?;
    let mut by_user = BTreeMap::new();
    for entry in Dir::read_from(&proc)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if !name.iter().all(u8::is_ascii_digit) {
            continue;
        }
        let tasks = [name, b"/task"].concat();
        // A process that has ended meanwhile has none.
        let Ok(stat) = statat(&proc, tasks, AtFlags::empty()) else {
            continue;
        };
        // The directory has a link for each task, and two of its own: no task has to be listed.
        *by_user.entry(stat.st_uid).or_default() += stat.st_nlink.saturating_sub(2);
    }
    if by_user.is_empty() {
        // Not a `/proc`: at least this process has a task.
        return Err(io::ErrorKind::NotFound.into());
    }
    Ok(by_user)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_threads_of_this_process_are_counted() {
        let own = rustix::process::geteuid().as_raw();
        let threads = std::fs::read_dir("/proc/self/task").expect("it is mounted");
        let threads = threads.count() as u64;
        let counted = count().expect("it is mounted");
        assert!(counted[&own] >= threads, "{threads} of {counted:?}");
    }

    #[test]
    fn the_limit_contains_the_users_tasks_the_childs_own_and_a_slack() {
        let tasks = UserTasks::default();
        *tasks.0.lock() = Some(Count {
            at: Instant::now(),
            by_user: BTreeMap::from([(7, 100)]),
        });
        assert_eq!(tasks.limit(7, 64), Some(100 + 64 + 1024));
        assert_eq!(tasks.limit(7, 5000), Some(100 + 5000 + 5000));
        assert_eq!(tasks.limit(8, 64), Some(64 + 1024), "a user without tasks");
        assert_eq!(tasks.limit(7, u64::MAX), Some(u64::MAX));
        assert_eq!(tasks.limit(0, 64), None, "the kernel spares root");
    }
}

//! By what `/proc` tells the processes of one tree from all others.
//!
//! The problem: a process leaves the process group of its leader and loses its parent, and files of
//! `/proc` name no tree.
//!
//! The way chosen: a resource limit that no kernel since Linux 2.4 applies, the one on file locks
//! (`RLIMIT_LOCKS`). A process inherits it, the filter refuses to change it, and `/proc/PID/limits`
//! shows it to everybody. Everybody can also give it to a process of their own, so a process counts
//! only if it has the tree's user too, and was started after the tree.

/// The soft and the hard limit on file locks.
pub type LockLimits = [u64; 2];

/// What the processes of a tree have in common, and no other process has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TreeMark {
    locks: LockLimits,
    uid: u32,
    since_ticks: u64,
}

impl TreeMark {
    /// Returns the mark of a tree whose processes have the user `uid` and the limits `locks` from before they execute, and
    /// of which the first is started at `since_ticks` or later. The user is as the host's `/proc` shows it, and the time
    /// in ticks of 10 ms after the boot, as field 22 of `/proc/PID/stat`.
    pub fn new(locks: LockLimits, uid: u32, since_ticks: u64) -> Self {
        Self {
            locks,
            uid,
            since_ticks,
        }
    }

    /// Returns the limits on file locks.
    pub fn locks(&self) -> LockLimits {
        self.locks
    }

    /// Returns whether a process of the user `uid` with the limits `locks`, started at `start_ticks`, is of the tree.
    pub fn is_of(&self, locks: LockLimits, uid: u32, start_ticks: u64) -> bool {
        self.locks == locks && self.uid == uid && self.since_ticks <= start_ticks
    }
}

/// Returns the limits on file locks in `/proc/PID/limits`; none if there is no soft limit.
pub(crate) fn locks_in(limits: &[u8]) -> Option<LockLimits> {
    let mut values = values(limits, "Max file locks")?;
    let soft = values.next()?.parse().ok()?;
    let hard = values.next()?.parse().unwrap_or(u64::MAX);
    Some([soft, hard])
}

/// Returns the user in `/proc/PID/status`.
pub(crate) fn uid_in(status: &[u8]) -> Option<u32> {
    values(status, "Uid:")?.next()?.parse().ok()
}

/// Returns the words after `label` in the line that begins with it. A process chooses its name, which may be any bytes.
fn values<'a>(text: &'a [u8], label: &str) -> Option<impl Iterator<Item = &'a str> + use<'a>> {
    let mut lines = text.split(|byte| *byte == b'\n');
    let rest = lines.find_map(|line| line.strip_prefix(label.as_bytes()))?;
    Some(std::str::from_utf8(rest).ok()?.split_ascii_whitespace())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limits_and_the_user_are_found() {
        let limits = b"Max pending signals       62  63  signals\nMax file locks            7   8   locks     \n";
        assert_eq!(locks_in(limits), Some([7, 8]));
        let unlimited =
            b"Max file locks            unlimited            unlimited            locks\n";
        assert_eq!(locks_in(unlimited), None);
        let soft = b"Max file locks            5            unlimited            locks\n";
        assert_eq!(locks_in(soft), Some([5, u64::MAX]));
        assert_eq!(uid_in(b"Name:\t\xff\nUid:\t65534\t0\t0\t0\n"), Some(65534));
        assert_eq!(uid_in(b"Name:\tUid: 5"), None);
    }

    /// A tree's mark is known to everybody, and anybody's process can have its limits.
    #[test]
    fn another_users_process_and_an_older_one_are_not_of_the_tree() {
        let mark = TreeMark::new([5, 6], 1000, 99);
        assert!(mark.is_of([5, 6], 1000, 99));
        assert!(!mark.is_of([5, 7], 1000, 99));
        assert!(!mark.is_of([5, 6], 1001, 99));
        assert!(!mark.is_of([5, 6], 1000, 98));
    }
}

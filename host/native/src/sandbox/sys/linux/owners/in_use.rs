//! The user ids of the machine's processes, as `/proc` shows them.

use std::collections::HashSet;
use std::fs;
use std::io;

use crate::launch::OwnerUids;

/// Returns every user id that a process has: real, effective, saved or of files.
///
/// # Errors
///
/// `/proc` cannot be read.
pub(super) fn uids() -> io::Result<HashSet<u32>> {
    let mut uids = HashSet::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let is_process = name.as_encoded_bytes().iter().all(u8::is_ascii_digit);
        if !is_process {
            continue;
        }
        // A process that has ended meanwhile has no id. The name of a process need not be UTF-8.
        let status = fs::read(std::path::Path::new("/proc").join(&name).join("status"));
        uids.extend(status.iter().flat_map(|status| of(status)));
    }
    Ok(uids)
}

/// Returns the ids in a process's status.
fn of(status: &[u8]) -> Vec<u32> {
    let mut lines = status.split(|byte| *byte == b'\n');
    let line = lines.find_map(|line| line.strip_prefix(b"Uid:"));
    let text = line.and_then(|line| std::str::from_utf8(line).ok());
    let ids = text.unwrap_or("").split_whitespace();
    ids.filter_map(|id| id.parse().ok()).collect()
}

/// Returns whether this host's user namespace has all of `uids`: a container may have few.
pub(crate) fn is_mapped(uids: OwnerUids) -> bool {
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    contains(&map, uids)
}

/// Returns whether one line of `map` (the first id inside, the first outside, the number of
/// ids) has all of `uids`.
fn contains(map: &str, uids: OwnerUids) -> bool {
    map.lines().any(|line| {
        let mut numbers = line.split_whitespace().map(str::parse::<u64>);
        let (Some(Ok(first)), Some(Ok(_)), Some(Ok(count))) =
            (numbers.next(), numbers.next(), numbers.next())
        else {
            return false;
        };
        let (low, high) = uids.ids().into_inner();
        first <= u64::from(low) && u64::from(high) < first + count
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_four_ids_of_a_process_count_whatever_its_name() {
        let status = b"Name:\t\xff\nUmask:\t0022\nUid:\t1\t2\t3\t4\nGid:\t5\t5\t5\t5\n";
        assert_eq!(of(status), [1, 2, 3, 4]);
        let own = rustix::process::geteuid().as_raw();
        assert!(uids().expect("a /proc").contains(&own));
    }

    #[test]
    fn a_range_is_mapped_if_one_line_has_all_of_it() {
        let uids = OwnerUids::new(100, 199).expect("a range");
        assert!(contains("         0          0 4294967295\n", uids));
        assert!(contains("0 1000 1\n100 5000 100\n", uids));
        assert!(!contains("0 1000 199\n", uids));
        assert!(!contains("101 5000 1000\n", uids));
        assert!(!contains("", uids));
    }
}

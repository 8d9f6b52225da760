//! Lines of the files of `/proc`, as bytes: a process chooses its name, and any byte may be in it.

use std::fs;

/// Returns the number after `label` in the line of `text` that begins with it.
pub(super) fn number(text: &[u8], label: &str) -> Option<u64> {
    let mut lines = text.split(|byte| *byte == b'\n');
    let rest = lines.find_map(|line| line.strip_prefix(label.as_bytes()))?;
    let rest = std::str::from_utf8(rest).ok()?;
    rest.split_ascii_whitespace().next()?.parse().ok()
}

/// Returns the bytes in the line of `text` that begins with `label` and counts in KiB.
pub(super) fn kib(text: &[u8], label: &str) -> Option<u64> {
    Some(number(text, label)?.saturating_mul(1024))
}

/// Returns the number that is the only content of a file.
pub(super) fn only_number(path: &str) -> Option<u64> {
    let text = fs::read(path).ok()?;
    std::str::from_utf8(&text).ok()?.trim().parse().ok()
}

/// Whether no process has this number any more: what cannot be read of it is then nothing.
pub(super) fn is_gone(pid: u32) -> bool {
    let folder = fs::metadata(format!("/proc/{pid}"));
    folder.is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound)
}

/// Returns the names in a directory that are numbers; none where it cannot be read.
pub(super) fn numbers(directory: &str) -> Option<impl Iterator<Item = u32> + use<>> {
    let entries = fs::read_dir(directory).ok()?;
    Some(entries.map_while(Result::ok).filter_map(|entry| {
        let name = entry.file_name();
        name.to_str()?.parse::<u32>().ok()
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_found_whatever_the_name_contains() {
        let text = b"Name:\t\xff\xfe\nVmPTE:\t      44 kB\nFDSize:\t64\n";
        assert_eq!(kib(text, "VmPTE:"), Some(44 * 1024));
        assert_eq!(number(text, "FDSize:"), Some(64));
        assert_eq!(number(text, "VmSwap:"), None);
    }

    #[test]
    fn numbers_of_a_directory_leave_out_other_names() {
        assert!(numbers("/proc").expect("it is mounted").count() > 0);
        assert!(numbers("/proc/none").is_none());
        assert!(is_gone(u32::MAX) && !is_gone(std::process::id()));
    }
}

//! The README's table of limits has the values of the code.

use std::time::Duration;

use capspawn_native::{grant, limits};

use crate::readme;

#[test]
fn the_limits_are_the_constants() {
    let readme = readme();
    let (_, section) = readme.split_once("\n## Limits\n").expect("a section");
    let child = limits::Limits::default();
    let set = |limit: Option<u64>| limit.expect("limited by default");
    let rows = [
        (
            "Children of one owner that run at once",
            limits::DEFAULT_MAX_LIVE.to_string(),
        ),
        (
            "Children of one guest in all",
            limits::DEFAULT_MAX_TOTAL.to_string(),
        ),
        ("Time until a child is killed", time(limits::DEFAULT_WALL)),
        (
            "Processor time of a child's tree",
            time(child.cpu.expect("limited")),
        ),
        ("Memory of a child's tree", bytes(set(child.memory_bytes))),
        ("Tasks of a child's tree", set(child.processes).to_string()),
        (
            "Open files of one process",
            set(child.open_files).to_string(),
        ),
        ("Size of a written file", bytes(set(child.file_size_bytes))),
        (
            "Private `/tmp` of a guest's children",
            bytes(child.tmpfs_bytes),
        ),
        (
            "Standard output that is kept",
            bytes(limits::DEFAULT_CAPTURE_STDOUT_BYTES),
        ),
        (
            "Standard error that is kept",
            bytes(limits::DEFAULT_CAPTURE_STDERR_BYTES),
        ),
        (
            "Children of the host, running and ended",
            limits::DEFAULT_MAX_ENTRIES.to_string(),
        ),
        (
            "Children of one owner, running and ended",
            limits::DEFAULT_MAX_HELD_CHILDREN.to_string(),
        ),
        (
            "Output, arguments and input that the host holds for one owner",
            bytes(limits::DEFAULT_MAX_HELD_BYTES_OF_OWNER),
        ),
        (
            "Descriptors that the host holds for one owner",
            limits::DEFAULT_MAX_HELD_DESCRIPTORS.to_string(),
        ),
        (
            "Output, arguments and input that the host holds, together",
            size(limits::DEFAULT_MAX_HELD_BYTES),
        ),
        (
            "Descriptors that the host holds, together",
            "3/4 of its own limit".to_owned(),
        ),
        (
            "Receipts of ended children that made room",
            limits::DEFAULT_MAX_RECEIPTS.to_string(),
        ),
        (
            "Detached children of one owner that nobody attached to",
            limits::MAX_DETACHED.to_string(),
        ),
        (
            "Time that a detached child may run unattached",
            time(grant::Detach::default().max_life),
        ),
        (
            "One argument, variable or path",
            size(limits::MAX_ARGUMENT_BYTES),
        ),
        (
            "Arguments and environment of one request",
            size(limits::MAX_REQUEST_BYTES),
        ),
        (
            "Standard input of one request",
            size(limits::MAX_STDIN_BYTES),
        ),
        (
            "Wait for the output of an ended child",
            time(limits::DRAIN_GRACE),
        ),
        (
            "Wait for the end of a released child",
            time(limits::RELEASE_TIMEOUT),
        ),
    ];
    for (what, value) in &rows {
        let row = format!("| {what} | {value} | ");
        assert!(section.contains(&row), "the README lacks {row}");
    }
    let table = section
        .lines()
        .filter(|line| line.starts_with("| "))
        .count();
    assert_eq!(table, rows.len() + 1, "a row that nothing checks");
}

fn size(bytes: usize) -> String {
    self::bytes(bytes.try_into().expect("fits"))
}

fn bytes(bytes: u64) -> String {
    const KIB: u64 = 1024;
    const MIB: u64 = 1024 * KIB;
    match bytes {
        whole if whole.is_multiple_of(MIB) => format!("{} MiB", whole / MIB),
        whole if whole.is_multiple_of(KIB) => format!("{} KiB", whole / KIB),
        odd => format!("{odd} bytes"),
    }
}

fn time(duration: Duration) -> String {
    match duration.subsec_millis() {
        0 => format!("{} s", duration.as_secs()),
        _ => format!("{} ms", duration.as_millis()),
    }
}

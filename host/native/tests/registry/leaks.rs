//! Ten thousand children leave nothing behind.

use capspawn_native::{Command, ExitStatus};

use crate::support::*;
use crate::trees::{children, descriptors};

/// The number of open descriptors, once it stays the same for a while.
fn settled_descriptors() -> usize {
    let mut last = (descriptors(), 0);
    eventually("a settled number", || {
        let now = descriptors();
        last = (now, if now == last.0 { last.1 + 1 } else { 0 });
        last.1 > 200
    });
    last.0
}

#[test]
fn ten_thousand_children_leave_no_descriptor_zombie_or_slot() {
    if !is_alone("leaks::ten_thousand_children_leave_no_descriptor_zombie_or_slot") {
        return;
    }
    let registry = registry();
    let guest = registry.guest(grant("test", "max-total = 20000"), "");
    ended(&guest.spawn(&Command::new("cat")).expect("allowed"));
    eventually("the first gone", || registry.is_empty());
    // Its last descriptor goes a moment after its slot.
    let before = settled_descriptors();
    let watcher = children();
    assert_eq!(watcher, 1);
    for _ in 0..10_000 {
        let child = guest.spawn(&Command::new("cat")).expect("allowed");
        assert_eq!(ended(&child), ExitStatus::Exited(0));
    }
    eventually("free slots", || registry.is_empty());
    assert_eq!(settled_descriptors(), before);
    eventually("no child but the watcher", || children() == watcher);
    drop((guest, registry));
    eventually("the watcher's end", || children() == 0);
}

//! Ten thousand children leave no descriptor, zombie or slot.

use capspawn_native::{Command, ExitStatus};

use crate::support::*;

#[test]
fn ten_thousand_children_leave_no_descriptor_zombie_or_slot() {
    if !is_alone(test_name!()) {
        return;
    }
    let registry = registry();
    let guest = registry.guest(grant("test", "max-total = 20000"), "");
    ended(
        &guest
            .spawn(&Command::new("cat"))
            .expect("the grant allows it"),
    );
    eventually("the end of the first child", || registry.is_empty());
    // A child's last descriptor is closed a moment after its slot is free.
    let before = settled_descriptors();
    // The watchdog, which the launcher keeps.
    assert_eq!(children().len(), 1);
    for _ in 0..10_000 {
        let child = guest
            .spawn(&Command::new("cat"))
            .expect("the grant allows it");
        assert_eq!(ended(&child), ExitStatus::Exited(0));
    }
    eventually("free slots", || registry.is_empty());
    // The launcher keeps the files of up to 16 cgroups open, six each.
    let after = settled_descriptors();
    assert!(after <= before + 16 * 6, "{before}, then {after}");
    eventually("no child but the watchdog", || children().len() == 1);
    drop((guest, registry));
    eventually("the watchdog's end", || children().is_empty());
}

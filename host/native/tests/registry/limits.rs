//! Limits of a process tree: each ends the tree with its own reason.

use capspawn_native::{ExitStatus, KillReason};

use crate::support::*;

#[test]
fn memory_of_the_whole_tree_is_limited() {
    let guest = registry().guest(grant("test", r#"limits = { memory = "64MiB" }"#), "");
    // Four processes of 30 MB each: no single one exceeds the limit.
    let hog = "head -c 30000000 /dev/zero | tail -c 30000000 > /dev/null";
    let one = guest.spawn(&sh(hog)).expect("the grant allows it");
    assert_eq!(
        ended(&one),
        ExitStatus::Exited(0),
        "one of the four is within the limit"
    );
    let hold = "{ head -c 30000000 /dev/zero; sleep 600; } | tail -c 30000000 > /dev/null & ";
    let child = guest
        .spawn(&sh(&format!("{}wait", hold.repeat(4))))
        .expect("the grant allows it");
    assert_eq!(ended(&child), ExitStatus::Killed(KillReason::Memory));
}

#[test]
fn processor_time_of_the_whole_tree_is_limited() {
    let extra = r#"limits = { cpu = "1s", wall = "5min" }"#;
    let guest = registry().guest(grant("test", extra), "");
    let idle = guest
        .spawn(&sh("sleep 1.5; exit 3"))
        .expect("the grant allows it");
    // Every process is short-lived, so RLIMIT_CPU alone would never apply.
    let child = guest
        .spawn(&sh("while :; do head -c 20000000 /dev/zero | wc -c; done"))
        .expect("the grant allows it");
    assert_eq!(ended(&child), ExitStatus::Killed(KillReason::CpuTime));
    assert_eq!(
        ended(&idle),
        ExitStatus::Exited(3),
        "a process that sleeps uses no processor time"
    );
}

#[test]
fn tasks_of_the_tree_are_limited() {
    let guest = registry().guest(grant("test", "limits = { processes = 20 }"), "");
    let few = guest
        .spawn(&sh("for i in 1 2 3; do sleep 0.5 & done; wait"))
        .expect("the grant allows it");
    assert_eq!(ended(&few), ExitStatus::Exited(0));
    let many = sh("i=0; while [ $i -lt 40 ]; do sleep 600 & i=$((i+1)); done; wait");
    let child = guest.spawn(&many).expect("the grant allows it");
    assert_eq!(ended(&child), ExitStatus::Killed(KillReason::Processes));
}

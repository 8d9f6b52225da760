//! Limits of a process tree: each ends the tree with its own reason.

use std::path::Path;

use capspawn_native::sandbox::Tier;
use capspawn_native::{ExitStatus, KillReason};

use test_kit::{SUITE_TIMEOUT, exit_status, rerun_through};

use crate::hidden::{KILLED_MEMORY, LIVES, as_ordinary_user, sampled_end, tiers};
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

/// A process chooses its own name: one that is not UTF-8 must not hide it.
#[test]
fn a_process_cannot_hide_its_memory_by_its_name() {
    let guest = registry().guest(grant("test", r#"limits = { memory = "64MiB" }"#), "");
    // Eight shells of 12 MB each.
    let hold = "( x=$(head -c 12000000 /dev/zero | tr '\\0' a); \
                printf '\\377\\376' > /proc/self/comm; sleep 600; : $x ) & ";
    let child = guest
        .spawn(&sh(&format!("{}wait", hold.repeat(8))))
        .expect("the grant allows it");
    assert_eq!(ended(&child), ExitStatus::Killed(KillReason::Memory));
}

/// The kernel shows no memory for a process whose first thread has ended.
#[test]
fn a_process_cannot_hide_its_memory_by_the_end_of_its_first_thread() {
    const PYTHON: &str = "/usr/bin/python3";
    if !Path::new(PYTHON).exists() && test_kit::required_tier::<Tier>().is_none() {
        println!("skipped: install the Debian package python3");
        return;
    }
    let guest = registry().guest(grant("test", r#"limits = { memory = "64MiB" }"#), "");
    // The mapping is shared, which RLIMIT_DATA does not count.
    let script = "import ctypes, mmap, os, sys, threading, time\n\
        def hold():\n time.sleep(0.3)\n m = mmap.mmap(-1, 200 << 20)\n\
        \u{20}for o in range(0, len(m), 4096): m[o] = 1\n time.sleep(600)\n\
        threading.Thread(target=hold).start()\n\
        ctypes.CDLL(None).syscall(60, 0)\n";
    let child = guest
        .spawn(&sh(&format!("exec {PYTHON} -c '{script}'")))
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
    let status = ended(&child);
    // In a cgroup the kernel refuses the task; the shell then gives up. Else the samples show it.
    let refused = matches!(status, ExitStatus::Exited(code) if code != 0);
    assert!(
        refused || status == ExitStatus::Killed(KillReason::Processes),
        "{status:?}"
    );
}

/// A process that has left the group of its leader is found by a limit on file locks, which is below that of the host.
#[test]
fn a_tree_that_leaves_its_group_counts_on_a_host_with_a_limit_on_file_locks() {
    const LIMITED: &str = "CAPSPAWN_TEST_LIMITED_LOCKS";
    let name = test_name!();
    if std::env::var_os(LIMITED).is_none() {
        let mut command = rerun_through(&["prlimit", "--locks=4096:4096"], name);
        let status = exit_status(command.env(LIMITED, "1"), SUITE_TIMEOUT);
        assert!(status.success(), "{status}");
        return;
    }
    let hold = |processes: u32| {
        format!(
            "
for _ in range({processes}):
    if os.fork() == 0:
        os.setsid(); x = b'x' * 40 * MIB
        if {processes} > 1: hold()
        end()
os.wait(); end()"
        )
    };
    for (processes, expected) in [(1, LIVES), (5, KILLED_MEMORY)] {
        for tier in tiers() {
            sampled_end(
                name,
                tier,
                r#"memory = "128MiB""#,
                &hold(processes),
                expected,
            );
        }
    }
    as_ordinary_user(name);
}

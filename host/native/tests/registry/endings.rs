//! The status of a child that has ended, and the end of its process tree.

use std::path::Path;
use std::time::Duration;

use capspawn_native::sandbox::Tier;
use capspawn_native::{Command, ExitStatus, KillReason, Registry, SpawnError};

use crate::support::*;

#[test]
pub(crate) fn a_signal_of_another_sender_is_neither_an_exit_nor_a_requested_kill() {
    let guest = guest();
    let child = guest
        .spawn(&sh("kill -TERM $$"))
        .expect("the grant allows it");
    assert_eq!(ended(&child), ExitStatus::Signaled(15));
    let child = guest
        .spawn(&sh("kill -KILL $$"))
        .expect("the grant allows it");
    assert_eq!(ended(&child), ExitStatus::Signaled(9));
}

#[test]
pub(crate) fn the_wall_limit_ends_the_child_with_the_reason_timeout() {
    let guest = guest();
    let command = Command {
        timeout: Some(Duration::from_millis(150)),
        ..sh("sleep 600; true")
    };
    let child = guest.spawn(&command).expect("the grant allows it");
    assert_eq!(ended(&child), ExitStatus::Killed(KillReason::Timeout));
}

/// The kernel reports the end of a traced process to its tracer first, and to the host once the tracer has ended.
#[test]
fn a_leader_that_its_own_process_traces_is_reported_at_its_wall_limit_at_the_latest() {
    const PYTHON: &str = "/usr/bin/python3";
    if !Path::new(PYTHON).exists() && test_kit::required_tier::<Tier>().is_none() {
        println!("skipped: install the Debian package python3");
        return;
    }
    let toml = format!(
        r#"
        version = 1
        [defaults]
        limits = {{ wall = "2s" }}
        [[component.test.command]]
        name = "python"
        program = "{PYTHON}"
        args = ["-ISc", {{ any = true, allow-dash = true }}]
        interpreter = true
        "#
    );
    let guest = registry().guest(load(&toml).component("test"), "");
    // PR_SET_PTRACER, for machines with Yama, and PTRACE_SEIZE.
    let script = "import ctypes, os, time\n\
        libc = ctypes.CDLL(None)\n\
        libc.prctl(0x59616d61, ctypes.c_ulong(-1), 0, 0, 0)\n\
        leader = os.getpid(); r, w = os.pipe()\n\
        if os.fork() == 0:\n\
        \u{20}os.write(w, b'x' if libc.ptrace(0x4206, leader, 0, 0) == 0 else b'y')\n\
        \u{20}time.sleep(600)\n\
        os._exit(7 if os.read(r, 1) == b'x' else 8)\n";
    let command = Command::new("python").args(["-ISc", script]);
    let child = guest.spawn(&command).expect("the grant allows it");
    assert_eq!(ended(&child), ExitStatus::Exited(7));
}

#[test]
fn a_guest_can_shorten_the_wall_limit_but_not_lengthen_it() {
    let guest = registry().guest(grant("test", r#"limits = { wall = "150ms" }"#), "");
    let command = Command {
        timeout: Some(TEST_TIMEOUT),
        ..sh("sleep 600")
    };
    let child = guest.spawn(&command).expect("the grant allows it");
    assert_eq!(ended(&child), ExitStatus::Killed(KillReason::Timeout));
}

#[test]
fn an_exit_beats_a_kill_that_comes_with_it() {
    let guest = guest();
    for _ in 0..40 {
        let child = guest
            .spawn(&sh("echo x; exit 7"))
            .expect("the grant allows it");
        eventually("its exit", || {
            // The leader is dead, as a zombie or reaped, before the kill below.
            !guest.live().iter().any(|live| live.id == child.id())
        });
        child.kill(Duration::ZERO);
        assert_eq!(ended(&child), ExitStatus::Exited(7));
    }
}

#[test]
fn a_daemon_that_holds_the_pipe_keeps_neither_the_slot_nor_the_capture() {
    let registry = registry();
    let guest = registry.guest(grant("test", "max-live = 1"), "");
    let child = guest
        .spawn(&sh("sleep 600 & echo $!"))
        .expect("the grant allows it");
    assert_eq!(ended(&child), ExitStatus::Exited(0));
    let grandchild = numbers(&stdout(&child));
    assert_eq!(
        grandchild.len(),
        1,
        "the leader's output is captured when its status is known"
    );
    // An ended child is not live, even while the rest of its tree still runs.
    let next = guest.spawn(&sh("exit 0")).expect("the slot is free");
    let (_, out, _) = output(&child);
    assert!(!out.complete, "a stream that was cut off is not complete");
    eventually("the end of the daemon", || !is_alive(grandchild[0]));
    ended(&next);
}

#[test]
fn a_grandchild_that_writes_for_ever_stays_within_the_capture_and_ends_with_the_leader() {
    let guest = guest();
    let script = "(while :; do head -c 1000000 /dev/zero; done) & echo $! >&2; exit 0";
    let child = guest.spawn(&sh(script)).expect("the grant allows it");
    assert_eq!(ended(&child), ExitStatus::Exited(0));
    let (_, out, err) = output(&child);
    assert!(out.data.len() <= 1024 * 1024);
    let grandchild = numbers(&err.data);
    assert_eq!(grandchild.len(), 1);
    eventually("the grandchild's end", || !is_alive(grandchild[0]));
}

#[test]
fn timeout_and_kill_end_the_whole_group() {
    let guest = guest();
    let script = "sleep 600 & echo $!; sleep 601 & echo $!; wait";
    let child = guest.spawn(&sh(script)).expect("the grant allows it");
    eventually("two grandchildren", || numbers(&stdout(&child)).len() == 2);
    let grandchildren = numbers(&stdout(&child));
    assert!(grandchildren.iter().all(|&pid| is_alive(pid)));
    child.kill(Duration::ZERO);
    ended(&child);
    let (status, ..) = output(&child);
    assert_eq!(status, ExitStatus::Killed(KillReason::Requested));
    eventually("the grandchildren's end", || {
        grandchildren.iter().all(|&pid| !is_alive(pid))
    });
}

#[test]
fn a_handle_that_is_dropped_on_a_thread_without_a_runtime_kills_the_child() {
    let registry = registry();
    let guest = registry.guest(grant("test", ""), "");
    let child = guest
        .spawn(&sh("sleep 600 & echo $!; echo $$; wait"))
        .expect("the grant allows it");
    eventually("two process ids", || numbers(&stdout(&child)).len() == 2);
    let pids = numbers(&stdout(&child));
    std::thread::spawn(move || drop(child))
        .join()
        .expect("a drop does not panic");
    eventually("the end of both", || pids.iter().all(|&pid| !is_alive(pid)));
    eventually("the free slot", || registry.is_empty());
}

#[test]
pub(crate) fn a_dropped_guest_kills_children_whose_handles_were_leaked() {
    let registry = registry();
    let guest = registry.guest(grant("test", ""), "");
    let child = guest
        .spawn(&sh("exec sleep 600"))
        .expect("the grant allows it");
    let mut waiter = child.waiter();
    std::mem::forget(child);
    drop(guest);
    let bare = bare_runtime();
    let status = bare.block_on(waiter.ended());
    assert_eq!(status, ExitStatus::Killed(KillReason::Released));
}

#[test]
pub(crate) fn a_child_outlives_the_runtime_of_its_caller_and_still_wakes_waiters() {
    let guest = guest();
    let runtime = bare_runtime();
    let child = runtime
        .block_on(async { guest.spawn(&sh("sleep 0.05; exit 6")) })
        .expect("the grant allows it");
    drop(runtime);
    assert_eq!(ended(&child), ExitStatus::Exited(6));
}

#[test]
pub(crate) fn a_shutdown_ends_all_children_and_refuses_new_ones() {
    let registry = registry();
    let guest = registry.guest(grant("test", ""), "");
    let children: Vec<_> = (0..5)
        .map(|_| {
            guest
                .spawn(&sh("trap '' TERM; sleep 600"))
                .expect("the grant allows it")
        })
        .collect();
    assert!(registry.shutdown(TEST_TIMEOUT));
    for child in &children {
        assert_eq!(child.poll(), Some(ExitStatus::Killed(KillReason::Host)));
    }
    assert!(
        registry.shutdown(Duration::ZERO),
        "a second shutdown has nothing to wait for"
    );
    assert!(matches!(
        guest.spawn(&sh("true")),
        Err(SpawnError::Shutdown)
    ));
}

#[test]
pub(crate) fn a_child_that_exceeds_the_limit_on_output_is_killed() {
    let guest = registry().guest(grant("test", r#"limits = { output = "100KiB" }"#), "");
    let child = guest
        .spawn(&sh("head -c 50000 /dev/zero"))
        .expect("the grant allows it");
    assert_eq!(output(&child).0, ExitStatus::Exited(0));
    let child = guest
        .spawn(&sh("exec cat /dev/zero"))
        .expect("the grant allows it");
    assert_eq!(ended(&child), ExitStatus::Killed(KillReason::Output));
}

#[test]
pub(crate) fn an_event_hook_that_panics_leaves_no_child_behind() {
    let registry = build(Registry::builder().on_event(|_| panic!("the hook's own defect")));
    let guest = registry.guest(grant("test", ""), "");
    let child = guest.spawn(&sh("exit 4")).expect("the grant allows it");
    assert_eq!(ended(&child), ExitStatus::Exited(4));
    drop(child);
    eventually("the free slot", || registry.is_empty());
}

#[test]
pub(crate) fn every_spawn_exit_and_denial_is_an_event_in_order() {
    let (sender, events) = std::sync::mpsc::channel();
    let registry = build(Registry::builder().on_event(move |event| {
        let _ = sender.send(serde_json::to_value(event).expect("an event is plain data"));
    }));
    let guest = registry.guest(grant("test", ""), "");
    let child = guest
        .spawn(&sh("printf abc; exit 4"))
        .expect("the grant allows it");
    output(&child);
    let next = || events.recv_timeout(TEST_TIMEOUT).expect("an event arrives");
    let spawned = next();
    assert_eq!(
        (&spawned["event"], &spawned["component"]),
        (&"spawn".into(), &"test".into())
    );
    assert_eq!(
        spawned["args"],
        serde_json::json!(["-c", "printf abc; exit 4"])
    );
    let ended = next();
    assert_eq!(
        (&ended["event"], &ended["status"]),
        (&"exit".into(), &serde_json::json!({"exited": 4}))
    );
    assert_eq!(
        (&ended["stdout_bytes"], &ended["id"]),
        (&3.into(), &spawned["id"])
    );
    guest
        .spawn(&Command::new("nope"))
        .expect_err("the grant does not list it");
    let denied = next();
    assert_eq!(
        (&denied["event"], &denied["item"]),
        (&"denied".into(), &"program".into())
    );
    assert!(
        denied["reason"]
            .as_str()
            .is_some_and(|reason| !reason.is_empty())
    );
}

//! Which status a child gets, and what becomes of its tree.

use std::time::Duration;

use capspawn_native::{Command, ExitStatus, KillReason};

use crate::support::*;

#[test]
fn a_foreign_signal_is_told_from_an_exit_and_a_kill() {
    let guest = guest();
    let child = guest.spawn(&sh("kill -TERM $$")).expect("allowed");
    assert_eq!(ended(&child), ExitStatus::Signaled(15));
    let child = guest.spawn(&sh("kill -KILL $$")).expect("allowed");
    assert_eq!(ended(&child), ExitStatus::Signaled(9));
}

#[test]
fn the_wall_limit_ends_the_child_as_timeout() {
    let guest = guest();
    let command = Command {
        timeout: Some(Duration::from_millis(150)),
        ..sh("sleep 60; true")
    };
    let child = guest.spawn(&command).expect("allowed");
    assert_eq!(ended(&child), ExitStatus::Killed(KillReason::Timeout));
}

#[test]
fn a_guest_can_shorten_the_wall_limit_and_not_lengthen_it() {
    let guest = registry().guest(grant("test", r#"limits = { wall = "150ms" }"#), "");
    let command = Command {
        timeout: Some(PATIENCE),
        ..sh("sleep 60")
    };
    let child = guest.spawn(&command).expect("allowed");
    assert_eq!(ended(&child), ExitStatus::Killed(KillReason::Timeout));
}

#[test]
fn an_exit_beats_a_kill_that_comes_with_it() {
    let guest = guest();
    for _ in 0..40 {
        let child = guest.spawn(&sh("echo x; exit 7")).expect("allowed");
        eventually("its exit", || {
            // The leader is dead (a zombie or reaped) before the kill is asked for.
            !guest.live().iter().any(|live| live.id == child.id())
        });
        child.kill(Duration::ZERO);
        assert_eq!(ended(&child), ExitStatus::Exited(7));
    }
}

#[test]
fn a_daemon_that_holds_the_pipe_pins_nothing() {
    let registry = registry();
    let guest = registry.guest(grant("test", "max-live = 1"), "");
    let child = guest.spawn(&sh("sleep 600 & echo $!")).expect("allowed");
    assert_eq!(ended(&child), ExitStatus::Exited(0));
    let grandchild = numbers(&stdout(&child));
    assert_eq!(
        grandchild.len(),
        1,
        "what the leader wrote is there at once"
    );
    // Live means running: the next may start while the tree is cleared away.
    let next = guest.spawn(&sh("exit 0")).expect("the slot is free");
    let (_, out, _) = output(&child);
    assert!(!out.complete, "the stream was cut off, and it shows");
    eventually("no process of a tree outlives its leader", || {
        !is_alive(grandchild[0])
    });
    ended(&next);
}

#[test]
fn a_chatty_grandchild_grows_nothing_and_dies_with_its_leader() {
    let guest = guest();
    let script = "(while :; do head -c 1000000 /dev/zero; done) & echo $! >&2; exit 0";
    let child = guest.spawn(&sh(script)).expect("allowed");
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
    let child = guest.spawn(&sh(script)).expect("allowed");
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
fn a_dropped_handle_kills_on_a_thread_without_a_runtime() {
    let registry = registry();
    let guest = registry.guest(grant("test", ""), "");
    let child = guest
        .spawn(&sh("sleep 600 & echo $!; echo $$; wait"))
        .expect("allowed");
    eventually("both", || numbers(&stdout(&child)).len() == 2);
    let pids = numbers(&stdout(&child));
    std::thread::spawn(move || drop(child))
        .join()
        .expect("a drop does not panic");
    eventually("both dead", || pids.iter().all(|&pid| !is_alive(pid)));
    eventually("the free slot", || registry.is_empty());
}

#[test]
fn a_dropped_guest_kills_what_its_leaked_handles_still_run() {
    let registry = registry();
    let guest = registry.guest(grant("test", ""), "");
    let child = guest.spawn(&sh("exec sleep 600")).expect("allowed");
    let mut waiter = child.waiter();
    std::mem::forget(child);
    drop(guest);
    let bare = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    let status = bare.block_on(waiter.ended());
    assert_eq!(status, ExitStatus::Killed(KillReason::Released));
}

#[test]
fn the_callers_runtime_may_go_and_waiters_still_wake() {
    let guest = guest();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    let child = runtime
        .block_on(async { guest.spawn(&sh("sleep 0.05; exit 6")) })
        .expect("allowed");
    drop(runtime);
    assert_eq!(ended(&child), ExitStatus::Exited(6));
}

#[test]
fn shutdown_ends_all_and_refuses_what_comes_later() {
    let registry = registry();
    let guest = registry.guest(grant("test", ""), "");
    let children: Vec<_> = (0..5)
        .map(|_| {
            guest
                .spawn(&sh("trap '' TERM; sleep 600"))
                .expect("allowed")
        })
        .collect();
    assert!(registry.shutdown(PATIENCE));
    for child in &children {
        assert_eq!(child.poll(), Some(ExitStatus::Killed(KillReason::Host)));
    }
    assert!(registry.shutdown(Duration::ZERO), "it may be called again");
    assert!(matches!(
        guest.spawn(&sh("true")),
        Err(capspawn_native::SpawnError::Shutdown)
    ));
}

#[test]
fn the_limit_on_output_ends_the_child() {
    let guest = registry().guest(grant("test", r#"limits = { output = "100KiB" }"#), "");
    let child = guest
        .spawn(&sh("head -c 50000 /dev/zero"))
        .expect("allowed");
    assert_eq!(output(&child).0, ExitStatus::Exited(0));
    let child = guest.spawn(&sh("exec cat /dev/zero")).expect("allowed");
    assert_eq!(ended(&child), ExitStatus::Killed(KillReason::Output));
}

#[test]
fn an_observer_that_panics_strands_no_child() {
    let registry = capspawn_native::Registry::builder()
        .on_event(|_| panic!("the embedder's own defect"))
        .build()
        .expect("a thread can be had");
    let guest = registry.guest(grant("test", ""), "");
    let child = guest.spawn(&sh("exit 4")).expect("allowed");
    assert_eq!(ended(&child), ExitStatus::Exited(4));
    drop(child);
    eventually("the free slot", || registry.is_empty());
}

#[test]
fn every_spawn_denial_and_exit_is_told_in_order() {
    let (sender, events) = std::sync::mpsc::channel();
    let registry = capspawn_native::Registry::builder()
        .on_event(move |event| {
            let _ = sender.send(serde_json::to_value(event).expect("plain data"));
        })
        .build()
        .expect("a thread can be had");
    let guest = registry.guest(grant("test", ""), "");
    let child = guest.spawn(&sh("printf abc; exit 4")).expect("allowed");
    output(&child);
    let next = || events.recv_timeout(PATIENCE).expect("an event");
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
        .expect_err("it is not listed");
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

//! Signals to a child and to its tree, stopped trees, and the signal of an end.

use std::fs;
use std::time::Duration;

use capspawn_native::{Child, Command, ExitStatus, Guest, KillReason, Signal};

use crate::support::*;

/// A guest that sees the process ids of its children.
fn guest() -> Guest {
    let registry = registry();
    registry.guest(grant("test", "disclose-pid = true"), "")
}

fn start(guest: &Guest, script: &str) -> Child {
    let child = guest.spawn(&sh(script)).expect("the grant allows it");
    eventually("its first line", || stdout(&child).starts_with(b"ready"));
    child
}

/// The state of a process in `/proc`: `T` for stopped.
fn state(pid: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit(") ").next()?.chars().next()
}

fn pid(child: &Child) -> u32 {
    child.info().pid.expect("the grant discloses it")
}

fn stop(child: &Child) {
    child.signal_tree(Signal::Stop);
    eventually("a stopped child", || {
        assert_eq!(child.poll(), None, "it runs");
        // A shell that has just made a process by vfork waits in `D` until this process, which is stopped, executes.
        matches!(state(pid(child)), Some('T' | 'D'))
    });
}

const REQUESTED: ExitStatus = ExitStatus::Killed(KillReason::Requested);

#[test]
fn every_signal_arrives_as_what_it_is() {
    let guest = guest();
    let signals = [
        ("HUP", Signal::Hangup),
        ("INT", Signal::Interrupt),
        ("QUIT", Signal::Quit),
        ("USR1", Signal::User1),
        ("USR2", Signal::User2),
        ("PIPE", Signal::BrokenPipe),
        ("ALRM", Signal::Alarm),
        ("TERM", Signal::Terminate),
        ("CONT", Signal::Continue),
        ("WINCH", Signal::WindowChange),
    ];
    for (name, signal) in signals {
        let script =
            format!("trap 'echo {name}; exit 7' {name}; echo ready; while :; do sleep 0.01; done");
        let child = start(&guest, &script);
        child.signal(signal);
        let (status, out, _) = output(&child);
        assert_eq!(status, ExitStatus::Exited(7), "{name}");
        assert_eq!(out.data, format!("ready\n{name}\n").as_bytes());
        assert_eq!(child.end_signal(), None, "a handled signal ends nothing");
    }
}

#[test]
fn an_end_has_its_signal_whoever_sent_it() {
    let guest = guest();
    type End = (&'static str, fn(&Child), ExitStatus, Option<u8>);
    let ends: [End; 5] = [
        (
            "exec sleep 600",
            |it| it.kill(Duration::ZERO),
            REQUESTED,
            Some(9),
        ),
        (
            "exec sleep 600",
            |it| it.kill(TEST_TIMEOUT),
            REQUESTED,
            Some(15),
        ),
        (
            "exec sleep 600",
            |it| it.signal(Signal::User1),
            REQUESTED,
            Some(10),
        ),
        ("kill -s QUIT $$", |_| {}, ExitStatus::Signaled(3), Some(3)),
        ("exit 3", |_| {}, ExitStatus::Exited(3), None),
    ];
    for (script, end, status, signal) in ends {
        let child = start(&guest, &format!("echo ready; {script}"));
        end(&child);
        assert_eq!(ended(&child), status, "{script}");
        assert_eq!(child.end_signal(), signal, "{script}");
        assert_eq!(child.waiter().end_signal(), signal, "{script}");
    }
    let child = start(&guest, "echo ready; exec sleep 600");
    assert_eq!(child.end_signal(), None, "it runs");
    let waiter = child.waiter();
    child.release_blocking();
    assert_eq!(waiter.end_signal(), Some(9));
}

#[test]
fn a_stopped_child_has_not_ended_and_continues() {
    let guest = guest();
    let child = start(
        &guest,
        "echo ready; while :; do read -r line < /dev/null; done",
    );
    stop(&child);
    assert_eq!(child.poll(), None);
    assert_eq!(child.wait_blocking(Some(Duration::from_millis(20))), None);
    child.signal(Signal::Continue);
    eventually("a running child", || state(pid(&child)) != Some('T'));
    child.kill(Duration::ZERO);
    assert_eq!(ended(&child), REQUESTED);
}

#[test]
fn a_stopped_tree_is_killed_by_each_way_to_kill() {
    let registry = registry();
    let short = registry.guest(
        grant("test", "disclose-pid = true\nlimits = { wall = \"1s\" }"),
        "",
    );
    let guest = registry.guest(grant("test", "disclose-pid = true"), "");
    let script = "sleep 600 & echo ready; wait";
    let child = start(&guest, script);
    stop(&child);
    child.kill(Duration::ZERO);
    assert_eq!(ended(&child), REQUESTED);

    // It receives SIGTERM because it is resumed.
    let child = start(
        &guest,
        "trap 'exit 9' TERM; echo ready; while :; do sleep 0.01; done",
    );
    stop(&child);
    child.kill(TEST_TIMEOUT);
    assert_eq!(ended(&child), ExitStatus::Exited(9));

    // On a busy machine the time can be over before the tree has stopped.
    let child = loop {
        let child = start(&short, script);
        child.signal_tree(Signal::Stop);
        let is_stopped = || matches!(state(pid(&child)), Some('T' | 'D'));
        eventually("a stopped child", || is_stopped() || child.poll().is_some());
        if child.poll().is_none() {
            break child;
        }
    };
    assert_eq!(ended(&child), ExitStatus::Killed(KillReason::Timeout));

    let child = start(&guest, script);
    stop(&child);
    let waiter = child.waiter();
    drop(child);
    assert_eq!(
        bare_runtime().block_on(async move { waiter.clone().completed().await }),
        ExitStatus::Killed(KillReason::Released)
    );

    let child = start(&guest, script);
    stop(&child);
    drop(guest);
    assert_eq!(ended(&child), ExitStatus::Killed(KillReason::Released));
    assert!(registry.shutdown(TEST_TIMEOUT));
}

#[test]
fn a_signal_to_the_tree_reaches_what_the_child_started_and_one_to_the_child_does_not() {
    let guest = guest();
    let script = "(trap 'echo inner; exit' USR1; echo ready; while :; do sleep 0.01; done) & \
                  trap 'echo outer' USR1; wait; wait";
    let both = |signal: fn(&Child)| {
        let child = start(&guest, script);
        signal(&child);
        eventually("the trap", || stdout(&child).ends_with(b"er\n"));
        child
    };
    let child = both(|it| it.signal(Signal::User1));
    assert_eq!(stdout(&child), b"ready\nouter\n");
    let child = both(|it| it.signal_tree(Signal::User1));
    let (_, out, _) = output(&child);
    let text = String::from_utf8(out.data).expect("text");
    assert!(text.contains("inner") && text.contains("outer"), "{text}");
}

#[test]
fn a_confined_tree_is_stopped_and_killed_too() {
    let toml = "version = 1\n[component.test]\ndisclose-pid = true\nlimits = { wall = \"10min\" }\n\
        [[component.test.command]]\nname = \"sh\"\nprogram = \"/bin/sh\"\n\
        args = [\"-c\", \"*\"]\ninterpreter = true\n";
    let registry = registry();
    let guest = registry.guest(load(toml).component("test"), "");
    let child = start(&guest, "sleep 600 & setsid sleep 600 & echo ready; wait");
    stop(&child);
    // The session of a stopped child still starts children.
    let other = guest.spawn(&Command::new("sh").args(["-c", "exit 4"]));
    assert_eq!(
        ended(&other.expect("the grant allows it")),
        ExitStatus::Exited(4)
    );
    drop(child);
    eventually("free slots", || registry.is_empty() || registry.len() == 1);
    drop(guest);
    assert!(registry.shutdown(TEST_TIMEOUT));
}

//! Trees under the registry: their limits, their ends, and the sessions they are in.

use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

use capspawn_native::grant::Grants;
use capspawn_native::sandbox::Tier;
use capspawn_native::{Child, Command, ExitStatus, Guest, KillReason, Quota, Registry, SpawnError};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

use crate::bounded::{PATIENCE, eventually, is_ready};
use crate::lifecycle::{marked, wait_until_none};
use crate::session::is_session;
use crate::support::{installed, is_root, own_launcher, tier};

/// A guest that may run any script of the shell and of Python; `commands` are added.
fn guest(limits: &str, commands: &str) -> Guest {
    let toml = format!(
        r#"
        version = 1
        [component.test]
        limits = {{ wall = "5min", {limits} }}
        {}
        {}
        {commands}
        "#,
        command("sh", "/bin/sh", ""),
        command("python", "/usr/bin/python3", ""),
    );
    let grants = Grants::from_toml_str(&toml, Path::new("/")).expect("the test's grant loads");
    let registry = Registry::builder().launcher(own_launcher());
    let registry = registry.build().expect("a thread can be had");
    registry.guest(grants.component("test"), "")
}

fn command(name: &str, program: &str, extra: &str) -> String {
    format!(
        r#"
        [[component.test.command]]
        name = "{name}"
        program = "{program}"
        args = ["-c", {{ any = true, allow-dash = true }}]
        interpreter = true
        {extra}
        "#
    )
}

fn start(guest: &Guest, name: &str, script: &str) -> Result<Child, SpawnError> {
    guest.spawn(&Command::new(name).args(["-c", script]))
}

fn ended(child: &Child) -> ExitStatus {
    child.wait_blocking(Some(PATIENCE)).expect("the child ends")
}

fn run(guest: &Guest, name: &str, script: &str) -> ExitStatus {
    ended(&start(guest, name, script).expect("allowed"))
}

#[test]
fn eight_children_of_a_quarter_do_not_survive_a_limit_of_a_half() {
    if installed("python3", "python3").is_none() {
        return;
    }
    let guest = guest("memory = \"512MiB\"", "");
    let hold = |children: u32| {
        format!(
            "import os, time\nfor i in range({children}):\n  if os.fork() == 0:\n    x = b'x' * (256 << 20)\n    \
             time.sleep(60 if {children} > 1 else 0.5)\n    os._exit(0)\nos.wait()"
        )
    };
    assert_eq!(run(&guest, "python", &hold(1)), ExitStatus::Exited(0));
    let all = run(&guest, "python", &hold(8));
    assert_eq!(all, ExitStatus::Killed(KillReason::Memory));
}

#[test]
fn a_loop_of_forks_does_not_survive_the_limit_of_processor_time() {
    let guest = guest("cpu = \"1s\"", "");
    assert_eq!(
        run(&guest, "sh", "sleep 1.5; exit 3"),
        ExitStatus::Exited(3)
    );
    // Each process of it is short: RLIMIT_CPU never sees a second.
    let status = run(
        &guest,
        "sh",
        "while :; do head -c 20000000 /dev/zero | wc -c; done",
    );
    assert_eq!(status, ExitStatus::Killed(KillReason::CpuTime));
}

/// In a session the kernel refuses the fork; elsewhere the tree is ended.
#[test]
fn a_tree_does_not_grow_beyond_its_cap() {
    let guest = guest("processes = 20", "");
    let few = "for i in 1 2 3; do sleep 0.5 & done; wait";
    assert_eq!(run(&guest, "sh", few), ExitStatus::Exited(0));
    let many = "i=0; while [ $i -lt 40 ]; do sleep 60 & i=$((i+1)); done; wait";
    let expected = match tier() {
        Tier::A => ExitStatus::Exited(2),
        Tier::B | Tier::C => ExitStatus::Killed(KillReason::Processes),
    };
    assert_eq!(run(&guest, "sh", many), expected);
}

/// A tree of a leader, a child, one that forked twice and one that asked for a session of its own.
fn tree(guest: &Guest, marker: &str) -> Child {
    let script = format!(
        "trap '' TERM HUP; sleep {marker} & (sleep {marker} &) ; (setsid sleep {marker} &) ; wait"
    );
    let child = start(guest, "sh", &script).expect("allowed");
    eventually("three sleepers", || marked(marker).len() == 3);
    child
}

#[test]
fn killing_one_of_two_children_leaves_the_other() {
    let guest = guest("processes = 64", "");
    let [first, second] = [3011, 3012].map(|time| format!("{time}.{}", std::process::id()));
    let (one, other) = (tree(&guest, &first), tree(&guest, &second));
    one.kill(Duration::ZERO);
    assert_eq!(ended(&one), ExitStatus::Killed(KillReason::Requested));
    wait_until_none(&first);
    assert_eq!(other.poll(), None);
    assert_eq!(marked(&second).len(), 3);
    drop(other);
    wait_until_none(&second);
}

/// Both processes of the session that `pid` is in, pid 1 first.
fn helpers(pid: i32) -> [Pid; 2] {
    let of = |pid: i32, name: &str| std::fs::read_link(format!("/proc/{pid}/ns/{name}"));
    let user = of(pid, "user").expect("it runs");
    let inside = of(pid, "pid").expect("it runs");
    let all = std::fs::read_dir("/proc").expect("it is there").flatten();
    let all = all.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    // The server is in all namespaces but the one of processes.
    let mut found = [None; 2];
    for other in all.filter(|other| of(*other, "user").is_ok_and(|user_of| user_of == user)) {
        let status = std::fs::read_to_string(format!("/proc/{other}/status")).unwrap_or_default();
        let numbers = status.lines().find(|line| line.starts_with("NSpid:"));
        let is_first = numbers.is_some_and(|numbers| numbers.ends_with("\t1"));
        if is_first {
            found[0] = Pid::from_raw(other);
        } else if of(other, "pid").is_ok_and(|pid_of| pid_of != inside) {
            found[1] = Pid::from_raw(other);
        }
    }
    found.map(|pid| pid.expect("it runs"))
}

/// A child that sleeps, and the two processes of its session.
fn sleeper(guest: &Guest, marker: &str) -> (Child, [Pid; 2]) {
    let child = start(guest, "sh", &format!("exec sleep {marker}")).expect("allowed");
    eventually("the sleeper", || marked(marker).len() == 1);
    (child, helpers(marked(marker)[0]))
}

#[test]
fn a_killed_pid_1_takes_its_children_along_and_is_replaced() {
    // Who looks for them needs root: they are not dumpable.
    if !is_session() || !is_root() {
        return;
    }
    let guest = guest("processes = 64", "");
    let marker = format!("3013.{}", std::process::id());
    let (child, [first, _]) = sleeper(&guest, &marker);
    kill_process(first, Signal::KILL).expect("it runs");
    assert_eq!(ended(&child), ExitStatus::Killed(KillReason::Host));
    wait_until_none(&marker);
    assert_eq!(run(&guest, "sh", "exit 5"), ExitStatus::Exited(5));
}

#[test]
fn a_killed_server_leaves_its_children_and_is_replaced() {
    if !is_session() || !is_root() {
        return;
    }
    let guest = guest("processes = 64", "");
    let marker = format!("3014.{}", std::process::id());
    let (child, [_, server]) = sleeper(&guest, &marker);
    let pidfd = pidfd_open(server, PidfdFlags::empty()).expect("it runs");
    kill_process(server, Signal::KILL).expect("it runs");
    // Who asks it while it ends gets no answer, and ends the session.
    let deadline = Instant::now() + PATIENCE;
    assert!(is_ready(pidfd.as_fd(), deadline));
    assert_eq!(run(&guest, "sh", "exit 5"), ExitStatus::Exited(5));
    assert_eq!(child.poll(), None);
    assert_eq!(marked(&marker).len(), 1);
    drop(child);
    wait_until_none(&marker);
}

#[test]
fn a_ninth_profile_waits_for_room_and_an_idle_session_makes_it() {
    let profile = |number: u32| {
        let extra = format!("limits = {{ tmpfs = \"{}MiB\" }}", number + 1);
        command(&format!("sh{number}"), "/bin/sh", &extra)
    };
    let commands: String = (0..9).map(profile).collect();
    let guest = guest("processes = 64", &commands);
    let mut running: Vec<Child> = (0..8)
        .map(|number| start(&guest, &format!("sh{number}"), "exec sleep 60").expect("allowed"))
        .collect();
    let ninth = || start(&guest, "sh8", "exit 6");
    if tier() == Tier::A {
        let error = ninth().expect_err("eight sessions are in use");
        assert!(
            matches!(error, SpawnError::Quota(Quota::HostCapacity)),
            "{error}"
        );
        // An eighth profile's second child is in its session.
        assert_eq!(run(&guest, "sh7", "exit 7"), ExitStatus::Exited(7));
    }
    let first = running.remove(0);
    first.kill(Duration::ZERO);
    ended(&first);
    drop(first);
    eventually("room", || match ninth() {
        Ok(child) => ended(&child) == ExitStatus::Exited(6),
        Err(error) => {
            assert!(
                matches!(error, SpawnError::Quota(Quota::HostCapacity)),
                "{error}"
            );
            false
        }
    });
    assert!(running.iter().all(|child| child.poll().is_none()));
}

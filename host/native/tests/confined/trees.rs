//! Process trees under the registry: their limits, their ends, and their sessions.

use std::path::Path;
use std::time::Duration;

use capspawn_native::grant::Grants;
use capspawn_native::sandbox::Tier;
use capspawn_native::{
    Child, Command, ExitStatus, Guest, KillReason, Registry, Shortage, SpawnError,
};
use rustix::process::{Pid, Signal, kill_process};

use test_kit::{TEST_TIMEOUT, eventually, is_readable, is_root, pidfd, with_argument};

use crate::installed::installed;
use crate::launcher::{own_launcher, tier};
use crate::lifecycle::wait_until_none;
use crate::session::is_session;

/// A guest that may run any script of the shell and of Python. `limits` and `commands` are
/// added to its grant.
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
    let registry = registry.build().expect("the registry starts");
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
    child
        .wait_blocking(Some(TEST_TIMEOUT))
        .expect("the child ends")
}

fn run(guest: &Guest, name: &str, script: &str) -> ExitStatus {
    ended(&start(guest, name, script).expect("the grant allows it"))
}

#[test]
fn eight_processes_of_256_mib_exceed_a_limit_of_512_mib() {
    if installed("python3", "python3").is_none() {
        return;
    }
    let guest = guest("memory = \"512MiB\"", "");
    let hold = |children: u32| {
        format!(
            "import os, time\nfor i in range({children}):\n  if os.fork() == 0:\n    os.setsid()\n    x = b'x' * (256 << 20)\n    \
             time.sleep(600 if {children} > 1 else 0.5)\n    os._exit(0)\nos.wait()"
        )
    };
    assert_eq!(run(&guest, "python", &hold(1)), ExitStatus::Exited(0));
    let all = run(&guest, "python", &hold(8));
    assert_eq!(all, ExitStatus::Killed(KillReason::Memory));
}

#[test]
fn a_loop_of_short_processes_exceeds_the_limit_on_processor_time() {
    let guest = guest("cpu = \"1s\"", "");
    assert_eq!(
        run(&guest, "sh", "sleep 1.5; exit 3"),
        ExitStatus::Exited(3)
    );
    // Every process is short-lived, so RLIMIT_CPU alone would never apply.
    let status = run(
        &guest,
        "sh",
        "while :; do head -c 20000000 /dev/zero | wc -c; done",
    );
    assert_eq!(status, ExitStatus::Killed(KillReason::CpuTime));
}

/// In a session and in a cgroup the kernel refuses the fork; else the registry kills the tree.
#[test]
fn a_tree_does_not_grow_beyond_its_cap() {
    let guest = guest("processes = 20", "");
    let few = "for i in 1 2 3; do sleep 0.5 & done; wait";
    assert_eq!(run(&guest, "sh", few), ExitStatus::Exited(0));
    let many = "i=0; while [ $i -lt 40 ]; do sleep 600 & i=$((i+1)); done; wait";
    let status = run(&guest, "sh", many);
    // The kernel refuses the fork in a session and in a cgroup, and the shell gives up.
    let is_refused = status == ExitStatus::Exited(2);
    let is_killed = tier() != Tier::A && status == ExitStatus::Killed(KillReason::Processes);
    assert!(is_refused || is_killed, "{status:?}");
}

/// Ten processes, each in a session of its own, that every 20 ms leave their work to a child and end: none has a parent, a
/// group or a number for longer. (A storm of forks is a test of sessions alone, whose pid 1 reaps what it leaves.)
const MOVING: &str = "\
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
for _ in range(10):
  if os.fork() == 0:
    while True:
      os.setsid()
      time.sleep(0.02)
      if os.fork():
        os._exit(0)
os.write(1, b'up')
time.sleep(600)
";

#[test]
fn a_kill_leaves_nothing_of_processes_that_move_to_new_sessions() {
    if installed("python3", "python3").is_none() {
        return;
    }
    let guest = guest("processes = 64", "");
    for _ in 0..5 {
        let script = format!("{MOVING}# {}", std::process::id());
        let moving = start(&guest, "python", &script).expect("the grant allows it");
        eventually("ten that move", || with_argument(&script).len() > 10);
        moving.kill(Duration::ZERO);
        assert_eq!(ended(&moving), ExitStatus::Killed(KillReason::Requested));
        eventually("the end of all", || with_argument(&script).is_empty());
    }
}

#[test]
fn a_program_that_makes_groups_and_sessions_finds_them() {
    let guest = guest("", "");
    let timeout = "timeout 0.2 sleep 600; test $? = 124 || exit 1; echo after";
    assert_eq!(run(&guest, "sh", timeout), ExitStatus::Exited(0));
    if installed("python3", "python3").is_some() {
        let killpg = "import os, signal, subprocess\n\
            child = subprocess.Popen(['sleep', '600'], start_new_session=True)\n\
            assert os.getsid(child.pid) == child.pid != os.getsid(0)\n\
            os.killpg(os.getpgid(child.pid), signal.SIGTERM)\n\
            raise SystemExit(-child.wait())";
        assert_eq!(run(&guest, "python", killpg), ExitStatus::Exited(15));
    }
}

/// A tree of a leader, a child, a grandchild whose parent has exited, and a process that called
/// `setsid`.
fn tree(guest: &Guest, marker: &str) -> Child {
    let script = format!(
        "trap '' TERM HUP; sleep {marker} & (sleep {marker} &) ; (setsid sleep {marker} &) ; wait"
    );
    let child = start(guest, "sh", &script).expect("the grant allows it");
    eventually("three sleepers", || with_argument(marker).len() == 3);
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
    assert_eq!(with_argument(&second).len(), 3);
    drop(other);
    wait_until_none(&second);
}

/// The two processes that keep the session of the process `pid`: its pid 1 and its server.
fn session_processes(pid: u32) -> [Pid; 2] {
    let of = |pid: u32, name: &str| std::fs::read_link(format!("/proc/{pid}/ns/{name}"));
    let user = of(pid, "user").expect("it runs");
    let inside = of(pid, "pid").expect("it runs");
    let all = std::fs::read_dir("/proc")
        .expect("/proc is mounted")
        .flatten();
    let all = all.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    // The server is in all namespaces of the session but the pid namespace.
    let mut found = [None; 2];
    for other in all.filter(|other| of(*other, "user").is_ok_and(|user_of| user_of == user)) {
        let status = std::fs::read_to_string(format!("/proc/{other}/status")).unwrap_or_default();
        let numbers = status.lines().find(|line| line.starts_with("NSpid:"));
        let is_first = numbers.is_some_and(|numbers| numbers.ends_with("\t1"));
        if is_first {
            found[0] = Some(other);
        } else if of(other, "pid").is_ok_and(|pid_of| pid_of != inside) {
            found[1] = Some(other);
        }
    }
    found.map(|pid| {
        let pid = i32::try_from(pid.expect("it runs")).expect("process ids are small");
        Pid::from_raw(pid).expect("process ids are not 0")
    })
}

/// A child that sleeps, and the two processes that keep its session.
fn sleeper(guest: &Guest, marker: &str) -> (Child, [Pid; 2]) {
    let child = start(guest, "sh", &format!("exec sleep {marker}")).expect("the grant allows it");
    eventually("the sleeper", || with_argument(marker).len() == 1);
    (child, session_processes(with_argument(marker)[0]))
}

#[test]
fn killing_pid_1_of_a_session_kills_its_children_and_the_next_child_gets_a_new_one() {
    // Only root sees the namespaces of these processes, which are not dumpable.
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
fn killing_the_server_of_a_session_kills_no_child_and_the_next_child_gets_a_new_one() {
    if !is_session() || !is_root() {
        return;
    }
    let guest = guest("processes = 64", "");
    let marker = format!("3014.{}", std::process::id());
    let (child, [_, server]) = sleeper(&guest, &marker);
    let server_fd = pidfd(server.as_raw_pid().unsigned_abs()).expect("it runs");
    kill_process(server, Signal::KILL).expect("it runs");
    // A spawn that reaches the server while it ends would fail and end the session.
    assert!(is_readable(server_fd, TEST_TIMEOUT));
    assert_eq!(run(&guest, "sh", "exit 5"), ExitStatus::Exited(5));
    assert_eq!(child.poll(), None);
    assert_eq!(with_argument(&marker).len(), 1);
    drop(child);
    wait_until_none(&marker);
}

#[test]
fn a_ninth_session_is_refused_until_one_of_the_eight_is_idle() {
    let profile = |number: u32| {
        let extra = format!("limits = {{ tmpfs = \"{}MiB\" }}", number + 1);
        command(&format!("sh{number}"), "/bin/sh", &extra)
    };
    let commands: String = (0..9).map(profile).collect();
    let guest = guest("processes = 64", &commands);
    let mut running: Vec<Child> = (0..8)
        .map(|number| {
            start(&guest, &format!("sh{number}"), "exec sleep 600").expect("the grant allows it")
        })
        .collect();
    let ninth = || start(&guest, "sh8", "exit 6");
    if tier() == Tier::A {
        let error = ninth().expect_err("eight sessions are in use");
        assert!(
            matches!(error, SpawnError::Shortage(Shortage::Sessions)),
            "{error}"
        );
        // A second child of the eighth profile needs no session of its own.
        assert_eq!(run(&guest, "sh7", "exit 7"), ExitStatus::Exited(7));
    }
    let first = running.remove(0);
    first.kill(Duration::ZERO);
    ended(&first);
    drop(first);
    eventually("an idle session", || match ninth() {
        Ok(child) => ended(&child) == ExitStatus::Exited(6),
        Err(error) => {
            assert!(
                matches!(error, SpawnError::Shortage(Shortage::Sessions)),
                "{error}"
            );
            false
        }
    });
    assert!(running.iter().all(|child| child.poll().is_none()));
}

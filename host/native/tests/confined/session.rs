//! What a session has of its own: in the tiers without one there is nothing to test.

use capspawn_native::sandbox::{Network, Tier};

use crate::bounded;
use crate::support::{Own, Spec, installed, launcher, probe, tier};
use crate::verdict::{ENOENT, EPERM, ESRCH, admitted, refused};

/// Whether this machine, or the demand, gives tier A.
pub(crate) fn is_session() -> bool {
    let is = tier() == Tier::A;
    if !is {
        println!("tier {} has no sessions", tier());
    }
    is
}

fn output(spec: &Spec, guest: &Own) -> String {
    let started = spec.start_as(launcher(), guest.0);
    started.expect("it starts").finish().output
}

fn shell(script: &str) -> Spec {
    Spec::new("/bin/sh").args(["-c", script])
}

#[test]
fn two_sessions_of_one_guest_reach_nothing_of_each_other() {
    if !is_session() {
        return;
    }
    let second = |name: &str| probe(name).network(Network::Host);
    let mut held = second("hold").start().expect("it starts");
    let text = bounded::read_to(&mut held.output, Some("ready"));
    let port = text
        .split("port=")
        .nth(1)
        .and_then(|rest| rest.split(' ').next());
    let port = port.expect("a port");
    let address = format!("127.0.0.1:{port}");
    let pid = held.process.pid();
    let inner = crate::reach::inner_pid(pid);
    // Who has the same profile is in the same session.
    admitted(&second("tcp").env("TARGET", &address));
    admitted(&second("read").env("TARGET", "/tmp/secret"));
    admitted(&second("stat").env("TARGET", format!("/proc/{inner}/stat")));
    // The other one runs at the same time.
    refused(&probe("tcp").env("TARGET", &address), EPERM);
    let loopback = probe("tcp").network(Network::Loopback);
    refused(&loopback.env("TARGET", &address), libc::ECONNREFUSED);
    refused(&probe("read").env("TARGET", "/tmp/secret"), ENOENT);
    refused(&probe("signal").env("HOST", pid), ESRCH);
    refused(
        &probe("stat").env("TARGET", format!("/proc/{pid}/stat")),
        ENOENT,
    );
    drop(held);
}

#[test]
fn a_guests_tmp_is_its_own() {
    if !is_session() {
        return;
    }
    let (one, other) = (Own::new(), Own::new());
    let write = shell("echo secret > /tmp/file; cat /tmp/file");
    assert_eq!(output(&write, &one), "secret\n");
    let read = shell("cat /tmp/file 2>/dev/null || echo none");
    assert_eq!(output(&read, &one), "secret\n");
    assert_eq!(output(&read, &other), "none\n");
    // Its next session starts empty.
    use capspawn_native::launch::Launcher;
    launcher().close(one.0);
    assert_eq!(output(&read, &one), "none\n");
}

#[test]
fn proc_shows_the_session_alone() {
    if !is_session() {
        return;
    }
    let list = "echo $$; for p in /proc/[0-9]*; do echo ${p#/proc/}; done";
    let text = output(&shell(list), &Own::new());
    let mut pids: Vec<_> = text.lines().collect();
    let own = pids.remove(0);
    // A host whose own /proc is covered in parts may mount none.
    assert!(pids == ["1", own] || pids == ["[0-9]*"], "{text}");
}

#[test]
fn the_root_is_read_only_and_holds_nothing_but_what_is_granted() {
    if !is_session() {
        return;
    }
    let text = output(
        &shell("ls /; touch /new /dev/new 2>&1 | grep -c only"),
        &Own::new(),
    );
    assert_eq!(text, "bin\ndev\netc\nlib\nlib64\nproc\nsbin\ntmp\nusr\n2\n");
}

/// Starts sleepers until one is refused, says how many ran, and kills them with itself.
const FORKS: &str = "import os, time\nn = 0\ntry:\n  while n < 100:\n    if os.fork() == 0:\n      time.sleep(60)\n      os._exit(0)\n    n += 1\nexcept OSError as e:\n  print(n, e.errno)\nelse:\n  print(n)\nos.kill(0, 9)\n";

#[test]
fn the_cap_on_tasks_is_exact_and_that_of_the_session() {
    let Some(python) = installed("python3", "python3").filter(|_| is_session()) else {
        return;
    };
    let guest = Own::new();
    let mut spec = Spec::new(std::fs::canonicalize(python).expect("it exists"));
    spec = spec.args(["-uc", FORKS]);
    spec.limits.processes = Some(10);
    // The program itself is one, and so is a sleeper that it finds there.
    assert_eq!(output(&spec, &guest), format!("9 {}\n", libc::EAGAIN));
    let mut sleeper = Spec::new("/bin/sleep").args(["60"]);
    sleeper.limits.processes = Some(10);
    let sleeper = sleeper.start_as(launcher(), guest.0).expect("it starts");
    assert_eq!(output(&spec, &guest), format!("8 {}\n", libc::EAGAIN));
    drop(sleeper);
    spec.limits.processes = None;
    assert_eq!(output(&spec, &guest), "100\n");
}

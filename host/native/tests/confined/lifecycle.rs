//! How children start, are signalled and end.

use std::fs;
use std::process::Stdio;

use capspawn_native::launch::{Exit, Launcher, OwnerUids};
use capspawn_native::sandbox::{Confinement, NativeLauncher, Network, Sandbox, Tier};
use capspawn_native::{Signal, Stage};

use rustix::process::pidfd_send_signal;
use test_kit::{
    TEST_TIMEOUT, comes_true, eventually, is_root, pidfd, read_to_end, read_until, rerun, scratch,
    with_argument, with_arguments,
};

use crate::launcher::{launcher, tier};
use crate::spec::{Spec, Started, ended};

fn shell(script: &str) -> Spec {
    Spec::new("/bin/sh").args(["-c", script])
}

#[test]
fn this_machine_meets_a_required_sandbox() {
    let confinement = Confinement::default();
    let report = launcher().enforcement(&confinement);
    assert!(
        report.admits(Sandbox::Required),
        "unmet: {}, {report:?}",
        report.unmet()
    );
    assert_eq!(report.summary(), "enforced");
    let loopback = Confinement {
        network: Network::Loopback,
        ..confinement.clone()
    };
    let mut holes = confinement;
    holes.fs.deny.push("/etc/shadow".into());
    // Only a session has its own network, and can hide denied paths.
    let unmet = |confinement| launcher().enforcement(confinement).unmet();
    let (network, deny) = match tier() {
        Tier::A => ("", ""),
        Tier::B | Tier::C => ("network-ip, network-unix", "deny-holes"),
    };
    assert_eq!(unmet(&loopback), network);
    assert_eq!(unmet(&holes), deny);
}

#[test]
fn the_environment_is_that_of_the_plan_and_the_guests_temporary_directory() {
    let mut spec = Spec::new("/usr/bin/env");
    spec.env.clear();
    let spec = spec.env("A", "b c");
    let output = spec.succeed();
    let rest = output.strip_prefix("A=b c\n");
    match tier() {
        Tier::A | Tier::C => assert_eq!(rest, Some("")),
        Tier::B => {
            let rest = rest.expect(&output);
            assert!(rest.starts_with("TMPDIR=/"), "{rest}");
            assert_eq!(rest.lines().count(), 1, "{rest}");
        }
    }
    let named = spec.env("TMPDIR", "/nowhere");
    assert_eq!(named.succeed(), "A=b c\nTMPDIR=/nowhere\n");
}

#[test]
fn arguments_working_directory_streams_and_exit_code_are_passed_on() {
    let dir = scratch();
    let run = Spec::new("/bin/sh")
        .args([
            "-c",
            "pwd; echo \"$1\"; echo error >&2; exit 7",
            "sh",
            "an arg",
        ])
        .home(dir.path())
        .run();
    assert_eq!(run.exit, Exit::Code(7));
    assert_eq!(
        run.output,
        format!("{}\nan arg\nerror\n", dir.path().display())
    );
}

#[test]
fn children_have_no_privileges_and_those_of_a_root_host_are_not_root() {
    let id = Spec::new("/usr/bin/id").succeed();
    let own = rustix::process::geteuid().as_raw();
    let uid = id
        .split(['=', '(', ' '])
        .nth(1)
        .and_then(|uid| uid.parse().ok());
    let uid: u32 = uid.expect("id begins with the user");
    match (is_root(), tier()) {
        // A session shows its user as the one to which the files in write roots belong.
        (true, Tier::A) => assert_eq!(uid, 65534, "{id}"),
        (true, Tier::B | Tier::C) => assert!(OwnerUids::DEFAULT.contains(uid), "{id}"),
        (false, _) => assert_eq!(uid, own, "{id}"),
    }
    assert!(!id.contains("=0(") && !id.contains(",0("), "{id}");
    let mut spec = shell("cat /proc/self/status");
    spec.confinement.fs.read.push("/proc".into());
    let status = spec.succeed();
    for line in [
        "NoNewPrivs:\t1",
        "Seccomp:\t2",
        "CapEff:\t0000000000000000",
        "CapPrm:\t0000000000000000",
    ] {
        assert!(status.contains(line), "no {line} in {status}");
    }
    for line in ["SigBlk:\t0000000000000000", "SigIgn:\t0000000000000000"] {
        assert!(status.contains(line), "no {line} in {status}");
    }
}

#[test]
fn the_resource_limits_are_set() {
    let mut spec = shell("ulimit -n; ulimit -c; ulimit -f; ulimit -d; ulimit -t");
    spec.limits.memory_bytes = Some(64 << 20);
    let launcher = NativeLauncher::builder().tier(tier()).without_cgroups();
    let without_cgroup = spec.start_with(&launcher.build()).expect("it starts");
    let run = without_cgroup.finish();
    assert_eq!(run.output, "256\n0\n131072\n65536\n60\n");
}

#[test]
fn a_launch_that_fails_reports_the_stage() {
    let dir = scratch();
    let path = dir.path().join("text");
    fs::write(&path, "not a program").expect("the test may write the folder");
    let error = Spec::new(&path)
        .start()
        .err()
        .expect("the file is not a program");
    assert_eq!(error.stage, Stage::Exec);
    assert_eq!(error.source.raw_os_error(), Some(libc::EACCES));
    let mut spec = Spec::new("/bin/true");
    spec.confinement.fs.write.push("/does/not/exist".into());
    let error = spec.start().err().expect("the write root is missing");
    let stage = match tier() {
        Tier::A => Stage::Root,
        Tier::B | Tier::C => Stage::Ruleset,
    };
    assert_eq!(error.stage, stage);
}

#[test]
fn a_child_can_be_watched_signalled_and_reaped() {
    let started = Spec::new("/bin/sleep")
        .args(["600"])
        .start()
        .expect("it starts");
    assert_eq!(
        started.process.try_exit().expect("its status can be read"),
        None
    );
    started.process.signal(Signal::Terminate).expect("it runs");
    assert_eq!(ended(&*started.process), Exit::Signal(15));
    // Until it is reaped its status can be read again, and a signal to it is not an error.
    started
        .process
        .signal(Signal::Kill)
        .expect("a signal to an ended child is not an error");
    assert_eq!(ended(&*started.process), Exit::Signal(15));
    started.process.reap().expect("it has ended");
}

/// Waits until no process has `marker` among its arguments. If some survive, kills them, so that
/// they do not outlive the test, and fails.
#[track_caller]
pub(crate) fn wait_until_none(marker: &str) {
    if !comes_true(|| with_argument(marker).is_empty()) {
        panic!("{} processes survive", kill_all(marker));
    }
}

/// Kills the processes with `marker` one by one, and returns how many there were.
fn kill_all(marker: &str) -> usize {
    let survivors = with_argument(marker);
    for pidfd in survivors.iter().filter_map(|pid| pidfd(*pid)) {
        let _ = pidfd_send_signal(pidfd, rustix::process::Signal::KILL);
    }
    survivors.len()
}

/// A tree that forks without end, and prints "ready" once it has started to.
fn storm(marker: &str) -> Spec {
    let storm = format!("while :; do (sleep {marker} & ) & done");
    let mut spec = shell(&format!("({storm}) & ({storm}) & echo ready; {storm}"));
    // At a lower cap the shell would give up.
    spec.limits.processes = Some(50_000);
    spec
}

/// Starts the child and waits until it prints "ready".
fn started(spec: &Spec) -> Started {
    let mut started = spec.start().expect("it starts");
    read_until(&mut started.output, "ready");
    started
}

fn kill_and_reap(mut started: Started, marker: &str) {
    started.process.signal_tree(Signal::Kill).expect("it runs");
    assert_eq!(ended(&*started.process), Exit::Signal(9));
    wait_until_none(marker);
    // The output ends: no process holds a writing end.
    read_to_end(&mut started.output);
    started.process.reap().expect("it has ended");
}

/// A tree of `2 * pairs + 1` sleepers. Those of a pair are grandchildren whose parent has exited, and
/// they ignore what can be ignored; one of the two has called `setsid`.
fn sleepers(marker: &str, pairs: usize) -> Spec {
    let mut spec = shell(&format!(
        "trap '' TERM HUP; for i in $(seq {pairs}); do (sleep {marker} & setsid sleep {marker} & ) & done; \
         echo ready; exec sleep {marker}"
    ));
    spec.limits.processes = Some(2000);
    spec
}

/// Starts such a tree, and waits until all sleepers run.
fn started_sleepers(spec: &Spec, marker: &str, pairs: usize) -> Started {
    let tree = started(spec);
    wait_for_sleepers(marker, pairs);
    tree
}

fn wait_for_sleepers(marker: &str, pairs: usize) {
    // Their own name counts: before, one of a pair is still the program `setsid`.
    eventually("all sleepers", || {
        with_arguments(&["sleep", marker]).len() == 2 * pairs + 1
    });
}

#[test]
fn killing_a_tree_leaves_no_process() {
    const PAIRS: usize = 500;
    let marker = format!("3001.{}", std::process::id());
    let tree = started_sleepers(&sleepers(&marker, PAIRS), &marker, PAIRS);
    tree.process
        .signal_tree(Signal::Terminate)
        .expect("it runs");
    let left = with_argument(&marker).len();
    assert_eq!(left, 2 * PAIRS + 1, "the signal is not ignored");
    kill_and_reap(tree, &marker);
}

/// The control of the test above.
#[test]
fn without_a_sandbox_a_process_that_calls_setsid_survives_its_tree() {
    const PAIRS: usize = 100;
    let marker = format!("3002.{}", std::process::id());
    let spec = sleepers(&marker, PAIRS).sandbox(Sandbox::None);
    // A cgroup of version 2 is killed as a whole.
    let launcher = NativeLauncher::builder().without_cgroups().build();
    let mut tree = spec.start_with(&launcher).expect("it starts");
    read_until(&mut tree.output, "ready");
    wait_for_sleepers(&marker, PAIRS);
    tree.process.signal_tree(Signal::Kill).expect("it runs");
    assert_eq!(ended(&*tree.process), Exit::Signal(9));
    tree.process.reap().expect("it has ended");
    // The kill has reached every process of the group by now: those that are left stay.
    let is_over = comes_true(|| with_argument(&marker).len() <= PAIRS);
    let survivors = kill_all(&marker);
    assert!(is_over && survivors == PAIRS, "{survivors} survive");
}

/// Not a test, but the host of the test below: it starts trees, prints "started" and waits to be
/// killed.
#[test]
fn victim() {
    let Ok(marker) = std::env::var(VICTIM) else {
        return;
    };
    let sleepers = started_sleepers(&sleepers(&marker, 100), &marker, 100);
    let storm = started(&storm(&marker));
    println!("started");
    std::thread::sleep(TEST_TIMEOUT);
    drop((sleepers, storm));
}

const VICTIM: &str = "CAPSPAWN_VICTIM";

#[test]
fn a_host_that_is_killed_leaves_no_process() {
    let marker = format!("3004.{}", std::process::id());
    let mut host = rerun("lifecycle::victim")
        .env(VICTIM, &marker)
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut output = host.stdout.take().expect("it is a pipe");
    read_until(&mut output, "started");
    assert!(with_argument(&marker).len() > 200, "its children run");
    host.kill().expect("it runs");
    host.wait().expect("it was killed");
    wait_until_none(&marker);
}

#[test]
fn a_tree_that_forks_without_end_can_be_killed() {
    let marker = format!("3003.{}", std::process::id());
    let tree = started(&storm(&marker));
    eventually("a hundred forks", || with_argument(&marker).len() > 100);
    kill_and_reap(tree, &marker);
}

//! How children start, are signalled and end.

use std::fs;
use std::time::{Duration, Instant};

use capspawn_native::launch::{Exit, Launcher};
use capspawn_native::sandbox::{Confinement, Network, Sandbox, Tier};
use capspawn_native::{Signal, Stage};

use crate::bounded;
use crate::support::{Spec, Started, ended, is_root, launcher, scratch, tier};

fn shell(script: &str) -> Spec {
    Spec::new("/bin/sh").args(["-c", script])
}

#[test]
fn required_is_met_here() {
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
    // A session alone has a network and holes of its own.
    let unmet = |confinement| launcher().enforcement(confinement).unmet();
    let (network, deny) = match tier() {
        Tier::A => ("", ""),
        Tier::B | Tier::C => ("network-ip, network-unix", "deny-holes"),
    };
    assert_eq!(unmet(&loopback), network);
    assert_eq!(unmet(&holes), deny);
}

#[test]
fn the_environment_is_the_plans_and_nothing_else() {
    let mut spec = Spec::new("/usr/bin/env");
    spec.env.clear();
    assert_eq!(spec.env("A", "b c").succeed(), "A=b c\n");
}

#[test]
fn arguments_cwd_streams_and_exit_code_arrive() {
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
fn a_root_hosts_children_are_nobody_without_privileges() {
    let id = Spec::new("/usr/bin/id").succeed();
    let own = rustix::process::geteuid().as_raw();
    let uid = if is_root() { 65534 } else { own };
    assert!(id.starts_with(&format!("uid={uid}")), "{id}");
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
fn the_limits_are_set() {
    let mut spec = shell("ulimit -n; ulimit -c; ulimit -f; ulimit -d; ulimit -t");
    spec.limits.memory_bytes = Some(64 << 20);
    assert_eq!(spec.succeed(), "64\n0\n131072\n65536\n10\n");
}

#[test]
fn what_cannot_be_executed_says_at_which_stage() {
    let dir = scratch();
    let path = dir.path().join("text");
    fs::write(&path, "not a program").expect("written");
    let error = Spec::new(&path)
        .start()
        .err()
        .expect("it is not executable");
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
fn the_leader_can_be_signalled_watched_and_reaped() {
    let started = Spec::new("/bin/sleep")
        .args(["60"])
        .start()
        .expect("it starts");
    assert_eq!(started.process.try_exit().expect("it can be asked"), None);
    started.process.signal(Signal::Terminate).expect("it runs");
    assert_eq!(ended(&*started.process), Exit::Signal(15));
    // Until it is reaped the answer stays, and a signal to it is no error.
    started
        .process
        .signal(Signal::Kill)
        .expect("ended is success");
    assert_eq!(ended(&*started.process), Exit::Signal(15));
    started.process.reap().expect("it has ended");
}

/// The running processes with `marker` among their arguments, wherever they moved.
pub(crate) fn marked(marker: &str) -> Vec<i32> {
    let entries = fs::read_dir("/proc")
        .expect("it is mounted")
        .filter_map(Result::ok);
    let number = |entry: &fs::DirEntry| entry.file_name().to_str()?.parse().ok();
    let has = |entry: &fs::DirEntry| {
        fs::read(entry.path().join("cmdline")).is_ok_and(|line| {
            line.split(|byte| *byte == 0)
                .any(|argument| argument == marker.as_bytes())
        })
    };
    entries
        .filter(has)
        .filter_map(|entry| number(&entry))
        .collect()
}

pub(crate) fn wait_until_none(marker: &str) {
    let deadline = Instant::now() + bounded::PATIENCE;
    while !marked(marker).is_empty() {
        if Instant::now() > deadline {
            panic!("{} survive", end_survivors(marker));
        }
    }
}

/// Kills them one by one; says how many there were.
fn end_survivors(marker: &str) -> usize {
    let survivors = marked(marker);
    for pid in &survivors {
        let pid = rustix::process::Pid::from_raw(*pid).expect("not 0");
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    }
    survivors.len()
}

/// Forks without an end, after `first`. At a cap on tasks the shell would give up.
fn storm(marker: &str, first: &str) -> Spec {
    let storm = format!("while :; do (sleep {marker} & ) & done");
    let mut spec = shell(&format!(
        "({storm}) & ({storm}) & {first} echo ready; {storm}"
    ));
    spec.limits.processes = Some(50_000);
    spec
}

/// Starts `script` and waits until it prints "ready".
fn started(spec: &Spec) -> Started {
    let mut started = spec.start().expect("it starts");
    bounded::read_to(&mut started.output, Some("ready"));
    started
}

fn kill_and_reap(mut started: Started, marker: &str) {
    started.process.signal_tree(Signal::Kill).expect("it runs");
    assert_eq!(ended(&*started.process), Exit::Signal(9));
    wait_until_none(marker);
    // Until the end of file: nothing holds a writing end.
    bounded::read_to(&mut started.output, None);
    started.process.reap().expect("it has ended");
}

/// Twice `pairs` sleepers, which forked twice, asked for a session of their own and ignore what can be ignored.
fn sleepers(marker: &str, pairs: usize) -> Spec {
    let mut spec = shell(&format!(
        "trap '' TERM HUP; for i in $(seq {pairs}); do (sleep {marker} & setsid sleep {marker} & ) & done; \
         sleep 1; echo ready; exec sleep {marker}"
    ));
    spec.limits.processes = Some(2000);
    spec
}

#[test]
fn killing_the_tree_leaves_nothing() {
    const PAIRS: usize = 500;
    let marker = format!("3001.{}", std::process::id());
    let tree = started(&sleepers(&marker, PAIRS));
    let all = || marked(&marker).len() > 2 * PAIRS;
    let deadline = Instant::now() + Duration::from_secs(60);
    while !all() {
        assert!(Instant::now() < deadline, "{} run", marked(&marker).len());
    }
    tree.process
        .signal_tree(Signal::Terminate)
        .expect("it runs");
    assert!(all(), "the signal is not ignored");
    kill_and_reap(tree, &marker);
}

#[test]
fn without_the_filter_a_session_of_its_own_survives() {
    let marker = format!("3002.{}", std::process::id());
    let tree = started(&sleepers(&marker, 100).sandbox(Sandbox::None));
    tree.process.signal_tree(Signal::Kill).expect("it runs");
    assert_eq!(ended(&*tree.process), Exit::Signal(9));
    tree.process.reap().expect("it has ended");
    std::thread::sleep(Duration::from_millis(200));
    let survivors = end_survivors(&marker);
    assert!(survivors >= 100, "the test above shows nothing");
}

/// The host of the test below: starts trees, says so and waits to be killed.
#[test]
fn victim() {
    let Ok(marker) = std::env::var("CAPSPAWN_VICTIM") else {
        return;
    };
    let sleepers = started(&sleepers(&marker, 100));
    let storm = started(&storm(&marker, ""));
    println!("started");
    std::thread::sleep(Duration::from_secs(60));
    drop((sleepers, storm));
}

#[test]
fn a_killed_host_leaves_nothing() {
    let marker = format!("3004.{}", std::process::id());
    let mut host = std::process::Command::new(std::env::current_exe().expect("it is running"))
        .args(["--exact", "lifecycle::victim", "--nocapture"])
        .env("CAPSPAWN_VICTIM", &marker)
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut output = host.stdout.take().expect("it is piped");
    bounded::read_to(&mut output, Some("started"));
    assert!(marked(&marker).len() > 50, "{} run", marked(&marker).len());
    host.kill().expect("it runs");
    host.wait().expect("it was killed");
    wait_until_none(&marker);
}

#[test]
fn a_fork_storm_ends_with_its_tree() {
    let marker = format!("3003.{}", std::process::id());
    let tree = started(&storm(&marker, "sleep 0.3;"));
    kill_and_reap(tree, &marker);
}

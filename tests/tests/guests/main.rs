//! Every guest with real programs, under grants that allow its requests and under
//! grants that almost do.
//!
//! Each guest needs a test of its name: without one, the macro below does not
//! compile. Children are not confined here unless a test says so.

#![expect(
    clippy::disallowed_types,
    reason = "the tests start programs of their own"
)]

mod hands_over;
mod p3;
mod scripted;
mod streams;

use std::io::Write as _;
use std::time::{Duration, Instant};

use capspawn::{Event, EventKind, ExitStatus, KillReason};
use e2e::{End, GUESTS, Guest, Report, TestHost, guests};
use test_kit::TEST_TIMEOUT;

use hands_over::{hands_over, p3_hands_over};
use p3::{
    both_versions, p3_cancel, p3_drain, p3_library, p3_pipe_through, p3_run, p3_streams,
    p3_two_at_once,
};
use scripted::format_changes;
use streams::{
    fills_both_pipes, lsp, measures, pipe_through, pipeline, repl, streams_in_any_order,
};

macro_rules! assert_test_exists {
    ($name:ident) => {
        #[expect(
            unused_imports,
            reason = "a guest without a test of its name does not compile"
        )]
        use self::$name as _;
    };
}
e2e::foreach_guest!(assert_test_exists);

/// The head of the grants of these tests. The default limits could pass on a busy machine.
const HEAD: &str = r#"
    version = 1
    [component.guest]
    sandbox = "none"
    cwd = { default = "/" }
    limits = { wall = "10min", cpu = "10min" }
"#;

/// A grant of one command.
fn grant(name: &str, program: &str, rules: &str) -> String {
    format!(
        "{HEAD}\n[[component.guest.command]]\nname = {name:?}\nprogram = {program:?}\n{rules}\n"
    )
}

/// A grant of a shell that runs any script.
fn shell() -> String {
    grant(
        "sh",
        "/bin/sh",
        "args = [\"-c\", \"*\"]\ninterpreter = true",
    )
}

async fn run<const N: usize>(guest: Guest, grant: impl AsRef<str>, args: [&str; N]) -> Report {
    let host = TestHost::new().grant_toml(grant).args(args);
    host.timeout(TEST_TIMEOUT).run(guest).await
}

fn denials(events: &[Event]) -> usize {
    let denied = |event: &&Event| matches!(event.kind, EventKind::Denied { .. });
    events.iter().filter(denied).count()
}

#[tokio::test]
async fn run_once() {
    let allowed = grant("uname", "/usr/bin/uname", "args = [\"-s\"]");
    let report = run(guests::RUN_ONCE, allowed, ["uname", "-s"]).await;
    report.assert_exit(0);
    assert_eq!(report.stdout, "Linux\nuname: exit status: 0\n");
}

#[tokio::test]
async fn exec() {
    let report = run(
        guests::EXEC,
        shell(),
        ["sh", "-c", "echo out; echo err >&2; exit 7"],
    )
    .await;
    report.assert_exit(7);
    assert_eq!(report.stdout, "out\n");
    assert_eq!(report.stderr, "err\n");
}

#[tokio::test]
async fn exec_exits_with_128_and_the_signal_that_ended_the_program() {
    let report = run(guests::EXEC, shell(), ["sh", "-c", "kill -TERM $$"]).await;
    report.assert_exit(128 + 15);
}

#[tokio::test]
async fn exec_runs_git() {
    let allowed = grant("git", "/usr/bin/git", "args = [\"--version\"]");
    let report = run(guests::EXEC, allowed, ["git", "--version"]).await;
    report.assert_exit(0);
    assert!(report.stdout.starts_with("git version "));
}

#[tokio::test]
async fn exec_exits_with_124_at_the_wall_limit() {
    let short = grant(
        "sleep",
        "/usr/bin/sleep",
        "args = [\"*\"]\nlimits = { wall = \"100ms\" }",
    );
    let report = run(guests::EXEC, short, ["sleep", "30"]).await;
    report.assert_exit(124);
}

#[tokio::test]
async fn exec_reports_how_much_output_was_dropped() {
    let small = grant(
        "sh",
        "/bin/sh",
        "args = [\"-c\", \"*\"]\ninterpreter = true\ncapture = { stdout = \"10B\" }",
    );
    let report = run(guests::EXEC, small, ["sh", "-c", "printf 0123456789abcdef"]).await;
    report.assert_exit(0);
    assert_eq!(report.stdout, "0123456789");
    assert!(report.stderr.contains("6 bytes of output dropped"));
}

#[tokio::test]
async fn a_child_inherits_no_environment() {
    let report = run(
        guests::EXEC,
        shell(),
        ["sh", "-c", "echo ${HOME-no} ${CARGO-no}"],
    )
    .await;
    report.assert_exit(0);
    assert_eq!(report.stdout, "no no\n");
}

#[tokio::test]
async fn with_timeout() {
    let allowed = || grant("sleep", "/usr/bin/sleep", "args = [\"*\"]");
    let slow = run(guests::WITH_TIMEOUT, allowed(), ["100", "sleep", "30"]).await;
    slow.assert_exit(0);
    assert_eq!(slow.stdout, "too slow\n");
    let quick = run(guests::WITH_TIMEOUT, allowed(), ["20000", "sleep", "0"]).await;
    quick.assert_exit(0);
    assert_eq!(quick.stdout, "in time\n");
    // A program that itself exits with the code of `timeout` was not too slow.
    let failing = run(
        guests::WITH_TIMEOUT,
        shell(),
        ["20000", "sh", "-c", "exit 124"],
    )
    .await;
    assert_eq!(failing.stdout, "failed in time: exit status: 124\n");
}

/// The guest polls every 20 ms. On a busy machine it may be too slow to see the
/// two lines one after the other, and then the test tries once more.
#[tokio::test]
async fn poll_progress() {
    let deadline = Instant::now() + TEST_TIMEOUT;
    loop {
        let script = "echo one; sleep 0.5; echo two";
        let report = run(guests::POLL_PROGRESS, shell(), ["sh", "-c", script]).await;
        report.assert_exit(0);
        let used = report.stderr.strip_suffix(" ms of processor time\n");
        assert!(used.is_some_and(|used| used.parse::<u64>().is_ok()));
        if report.stdout == "[4 bytes] one\n[8 bytes] two\nsh exited with 0\n" {
            return;
        }
        let at_once = "[8 bytes] one\ntwo\nsh exited with 0\n";
        assert_eq!(report.stdout, at_once, "other text or other counts");
        assert!(Instant::now() < deadline, "the guest sees no progress");
    }
}

#[tokio::test]
async fn poll_progress_ends_although_a_daemon_holds_the_output() {
    let script = ["sh", "-c", "sleep 300 & echo one"];
    let report = run(guests::POLL_PROGRESS, shell(), script).await;
    report.assert_exit(0);
    assert_eq!(report.stdout, "[4 bytes] one\nsh exited with 0\n");
}

/// Each child waits for a line in a FIFO of its own. The test writes to one of them alone.
#[tokio::test]
async fn many_children() {
    let folder = test_kit::scratch();
    let fifos = ["a", "b", "c"].map(|name| folder.path().join(name));
    let made = std::process::Command::new("mkfifo")
        .args(["-m", "666"])
        .args(&fifos)
        .status();
    assert!(made.unwrap().success());
    // Linux opens a FIFO for both reading and writing without another process.
    let mut writers = fifos.each_ref().map(|fifo| {
        let mut options = std::fs::File::options();
        options.read(true).write(true).open(fifo).unwrap()
    });
    let args = fifos.each_ref().map(|fifo| fifo.to_str().unwrap());
    let head = grant(
        "head",
        "/usr/bin/head",
        "fixed = [\"-n\", \"1\"]\nargs = [\"*\"]",
    );
    writers[1].write_all(b"go\n").unwrap();
    let report = run(
        guests::MANY_CHILDREN,
        head,
        ["head", args[0], args[1], args[2]],
    )
    .await;
    report.assert_exit(0);
    let winner = format!("head {}: exit status: 0\n", args[1]);
    assert_eq!(report.stdout, format!("go\n{winner}"));
    assert_all_released(&report, 2);
}

#[tokio::test]
async fn many_children_meet_the_grants_quota() {
    let allowed = grant("sleep", "/usr/bin/sleep", "args = [\"*\"]").replacen(
        "sandbox",
        "max-live = 2\nsandbox",
        1,
    );
    let report = run(guests::MANY_CHILDREN, allowed, ["sleep", "30", "31", "32"]).await;
    report.assert_exit(1);
    assert!(
        report
            .stderr
            .contains("sleep: too many children run at the same time")
    );
}

#[tokio::test]
async fn handle_denial() {
    let uname = || grant("uname", "/usr/bin/uname", "args = [\"-s\"]");
    for (args, item) in [
        (["uname", "-a"], "denied (argument)"),
        (["reboot", "-s"], "denied (program)"),
        (["/usr/bin/uname", "-s"], "denied (program)"),
    ] {
        let refused = run(guests::HANDLE_DENIAL, uname(), args).await;
        refused.assert_exit(0);
        assert!(refused.stdout.contains(item), "{args:?}");
        assert_eq!(denials(&refused.events), 1);
    }
    // The request that the grant allows differs only in that item.
    let allowed = run(guests::HANDLE_DENIAL, uname(), ["uname", "-s"]).await;
    allowed.assert_exit(1);
    assert_eq!(denials(&allowed.events), 0);
}

#[tokio::test]
async fn exec_exits_with_126_if_the_request_is_denied() {
    let uname = grant("uname", "/usr/bin/uname", "args = [\"-s\"]");
    let report = run(guests::EXEC, uname, ["uname", "-a"]).await;
    report.assert_exit(126);
    assert!(report.stderr.contains("refuses the argument"));
}

#[tokio::test]
async fn exec_exits_with_127_if_the_program_was_removed_after_the_grant_was_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("true");
    std::fs::copy("/usr/bin/true", &program).unwrap();
    let toml = grant("true", program.to_str().unwrap(), "");
    let present = run(guests::EXEC, &toml, ["true"]).await;
    present.assert_exit(0);

    let host = TestHost::new().grant_toml(&toml).args(["true"]);
    std::fs::remove_file(&program).unwrap();
    host.run(guests::EXEC).await.assert_exit(127);
}

#[tokio::test]
async fn exec_exits_with_127_if_the_loader_of_the_program_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("true");
    std::fs::copy("/usr/bin/true", &program).unwrap();
    let mut image = std::fs::read(&program).unwrap();
    let loader = image.windows(8).position(|bytes| bytes == b"ld-linux");
    image[loader.expect("a dynamic program names its loader")] = b'X';
    std::fs::write(&program, image).unwrap();
    let toml = grant("true", program.to_str().unwrap(), "");
    run(guests::EXEC, toml, ["true"]).await.assert_exit(127);
}

#[tokio::test]
async fn every_guest_links_without_a_grant_and_is_denied() {
    for guest in GUESTS {
        let args: &[&str] = match guest.name {
            "with-timeout" => &["100", "uname"],
            "repl" => &["> ", "uname"],
            "measures" => &["spawn", "1"],
            _ => &["uname", "-s"],
        };
        let host = TestHost::new().args(args.iter().copied());
        let report = host.timeout(TEST_TIMEOUT).run(*guest).await;
        assert_ne!(report.end, End::TimedOut, "{report:?}");
        let expected = match guest.name {
            // An attach requests no program, so it is not a denial.
            "attaches" => 0..=0,
            // The second request may come before the first is decided.
            "p3-two-at-once" => 1..=2,
            _ => 1..=1,
        };
        assert!(expected.contains(&denials(&report.events)), "{report:?}");
    }
}

/// Either the sandbox is enforced or no child runs.
#[tokio::test]
async fn a_required_sandbox_is_never_skipped() {
    let demanding = grant("uname", "/usr/bin/uname", "args = [\"-s\"]")
        .replace("sandbox = \"none\"", "sandbox = \"required\"");
    let report = run(guests::EXEC, demanding, ["uname", "-s"]).await;
    let confinement = report.events.iter().find_map(|event| match event.kind {
        EventKind::Spawn { confinement, .. } => Some(confinement),
        _ => None,
    });
    match confinement {
        None => {
            report.assert_exit(125);
            assert!(report.stderr.contains("lacks the sandbox"));
        }
        Some(confinement) => assert_ne!(confinement, "none"),
    }
}

/// A grant of the program that the misbehaving guests start.
fn sleep() -> String {
    grant(
        "sleep",
        "/usr/bin/sleep",
        "args = [\"300\"]\nlimits = { wall = \"10min\" }",
    )
}

/// Asserts that `children` children ended because their holder was dropped.
#[track_caller]
fn assert_all_released(report: &Report, children: usize) {
    let released = |event: &&Event| {
        let reason = ExitStatus::Killed(KillReason::Released);
        matches!(event.kind, EventKind::Exit { status, .. } if status == reason)
    };
    assert_eq!(report.events.iter().filter(released).count(), children);
}

#[tokio::test]
async fn forgets_child() {
    let report = run(guests::FORGETS_CHILD, sleep(), []).await;
    report.assert_exit(0);
    assert_eq!(
        report.left.len(),
        1,
        "the guest has returned and its child still runs"
    );
    assert_all_released(&report, 1);
}

#[tokio::test]
async fn traps_with_child() {
    let report = run(guests::TRAPS_WITH_CHILD, sleep(), []).await;
    assert!(matches!(report.end, End::Trapped(_)));
    assert_eq!(report.left.len(), 1, "a trap drops no handle");
    assert_all_released(&report, 1);
}

#[tokio::test]
async fn waits_forever() {
    let mut timeout = Duration::from_millis(500);
    loop {
        let host = TestHost::new().grant_toml(sleep()).timeout(timeout);
        let report = host.run(guests::WAITS_FOREVER).await;
        assert_eq!(report.end, End::TimedOut);
        // On a busy machine the guest may be dropped before it has started its child.
        if !report.left.is_empty() {
            assert_eq!(report.left.len(), 1, "dropping the call keeps the store");
            return assert_all_released(&report, 1);
        }
        timeout *= 2;
        assert!(timeout < TEST_TIMEOUT, "the guest starts no child");
    }
}

#[tokio::test]
async fn drops_in_any_order() {
    let report = run(guests::DROPS_IN_ANY_ORDER, sleep(), []).await;
    report.assert_exit(0);
    assert!(report.left.is_empty());
    assert_all_released(&report, 2);
}

#[tokio::test]
async fn detaches() {
    let report = run(guests::DETACHES, shell(), ["exec sleep 300"]).await;
    report.assert_exit(0);
    assert_eq!(
        report.stdout, "refused\n",
        "the grant does not allow detaching"
    );
    assert_all_released(&report, 1);
}

/// Two stores in one host: the second attaches to the child of the first.
#[tokio::test]
async fn attaches() {
    let folder = test_kit::scratch();
    let sign = folder.path().join("sign");
    let script = format!(
        "while [ ! -e {} ]; do sleep 0.02; done; echo still here",
        sign.display()
    );
    let allowed = shell().replace(
        "sandbox = \"none\"",
        "sandbox = \"none\"\ndetach = { allow = true, max-life = \"5min\" }",
    );
    let registry = e2e::registry().build().unwrap();
    let host = TestHost::new().grant_toml(allowed).args([script]);
    let first = host.run_in(&registry, guests::DETACHES).await;
    first.assert_exit(0);
    assert!(
        first.left.is_empty(),
        "the first store no longer owns the child"
    );
    // The child ends only now, after the store that started it.
    std::fs::write(sign, "").unwrap();

    let host = host.args([first.stdout.trim()]);
    let second = host.run_in(&registry, guests::ATTACHES).await;
    second.assert_exit(0);
    assert_eq!(second.stdout, "still here\nExitStatus::Exited(0)");
    let third = host.run_in(&registry, guests::ATTACHES).await;
    assert_eq!(third.stdout, "no entry\n", "a key works once");
    assert!(registry.shutdown(TEST_TIMEOUT));
}

/// The component has no folder here; `command` has the tests with one.
#[tokio::test]
async fn makes_file() {
    let report = run(guests::MAKES_FILE, shell(), ["/x", "sh", "-c", "exit 0"]).await;
    report.assert_exit(1);
    assert!(report.stderr.starts_with("Err("), "{}", report.stderr);
}

#[tokio::test]
async fn leaves_child() {
    let script = "echo ready; exec sleep 300";
    let report = run(guests::LEAVES_CHILD, shell(), ["drop", script]).await;
    report.assert_exit(0);
    assert_eq!(
        report.stdout, "drop\n",
        "the guest prints how it leaves its child"
    );
    assert_all_released(&report, 1);
}

#[tokio::test]
async fn p3_leaves_child() {
    let script = "echo ready; exec sleep 300";
    let report = run(guests::P3_LEAVES_CHILD, shell(), ["drop", script]).await;
    report.assert_exit(0);
    assert_eq!(
        report.stdout, "drop\n",
        "the guest prints how it leaves its child"
    );
    assert_all_released(&report, 1);
}

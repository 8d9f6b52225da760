//! Every guest, with real programs, under grants that allow, and under grants
//! that almost do.

#![expect(
    clippy::disallowed_types,
    reason = "the tests start programs of their own"
)]

mod p3;
mod streams;

use std::time::Duration;

use capspawn::{Event, EventKind, ExitStatus, KillReason};
use e2e::{End, GUESTS, Guest, Report, TestHost, guests};

use p3::{both_versions, p3_cancel, p3_drain, p3_run, p3_streams, p3_two_at_once};
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

/// What the grants of these tests have in common.
const HEAD: &str = r#"
    version = 1
    [component.guest]
    sandbox = "none"
    cwd = { default = "/" }
"#;

/// A grant of one command.
fn grant(name: &str, program: &str, rules: &str) -> String {
    format!(
        "{HEAD}\n[[component.guest.command]]\nname = {name:?}\nprogram = {program:?}\n{rules}\n"
    )
}

/// A grant of a shell: it runs what the guest likes.
fn shell() -> String {
    grant(
        "sh",
        "/bin/sh",
        "args = [\"-c\", \"*\"]\ninterpreter = true",
    )
}

async fn run<const N: usize>(guest: Guest, grant: impl AsRef<str>, args: [&str; N]) -> Report {
    TestHost::new()
        .grant_toml(grant)
        .args(args)
        .run(guest)
        .await
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
    assert_eq!(report.stdout, "Linux\nuname exited with 0\n");
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
async fn exec_tells_a_signal_from_a_code() {
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
async fn exec_reports_the_grants_timeout() {
    let short = grant(
        "sleep",
        "/usr/bin/sleep",
        "args = [\"*\"]\nlimits = { wall = \"100ms\" }",
    );
    let report = run(guests::EXEC, short, ["sleep", "30"]).await;
    report.assert_exit(124);
}

#[tokio::test]
async fn exec_admits_what_was_dropped() {
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
    // What exits with the code of `timeout` was not too slow.
    let failing = run(
        guests::WITH_TIMEOUT,
        shell(),
        ["20000", "sh", "-c", "exit 124"],
    )
    .await;
    assert_eq!(failing.stdout, "failed in time: exited with 124\n");
}

#[tokio::test]
async fn poll_progress() {
    let report = run(
        guests::POLL_PROGRESS,
        shell(),
        ["sh", "-c", "echo one; sleep 0.5; echo two"],
    )
    .await;
    report.assert_exit(0);
    assert_eq!(
        report.stdout,
        "[4 bytes] one\n[8 bytes] two\nsh exited with 0\n"
    );
}

#[tokio::test]
async fn poll_progress_ends_although_a_daemon_holds_the_output() {
    let script = ["sh", "-c", "sleep 300 & echo one"];
    let report = run(guests::POLL_PROGRESS, shell(), script).await;
    report.assert_exit(0);
    assert_eq!(report.stdout, "[4 bytes] one\nsh exited with 0\n");
}

#[tokio::test]
async fn many_children() {
    let allowed = grant("sleep", "/usr/bin/sleep", "args = [\"*\"]");
    let report = run(
        guests::MANY_CHILDREN,
        allowed,
        ["sleep", "1.5", "0.8", "0.1"],
    )
    .await;
    report.assert_exit(0);
    assert_eq!(
        report.stdout,
        "sleep 0.1: exited with 0\nsleep 0.8: exited with 0\nsleep 1.5: exited with 0\n"
    );
    assert!(report.left.is_empty());
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
            .contains("sleep 32: quota exceeded: Quota::LiveChildren")
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
    // The sibling that differs in nothing else is allowed.
    let allowed = run(guests::HANDLE_DENIAL, uname(), ["uname", "-s"]).await;
    allowed.assert_exit(1);
    assert_eq!(denials(&allowed.events), 0);
}

#[tokio::test]
async fn exec_says_126_for_what_is_denied() {
    let uname = grant("uname", "/usr/bin/uname", "args = [\"-s\"]");
    let report = run(guests::EXEC, uname, ["uname", "-a"]).await;
    report.assert_exit(126);
    assert!(report.stderr.contains("refuses the argument"));
}

#[tokio::test]
async fn exec_says_127_for_a_program_that_went_after_the_grant_was_loaded() {
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
async fn exec_says_127_for_a_program_whose_loader_is_missing() {
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
async fn every_guest_links_with_an_empty_grant_and_is_denied() {
    for guest in GUESTS {
        let args: &[&str] = match guest.name {
            "with-timeout" => &["100", "uname"],
            "repl" => &["> ", "uname"],
            "measures" => &["spawn", "1"],
            _ => &["uname", "-s"],
        };
        let report = TestHost::new().args(args.iter().copied()).run(*guest).await;
        assert_ne!(report.end, End::TimedOut, "{report:?}");
        // An attach asks for no program.
        let asks = usize::from(guest.name != "attaches");
        assert_eq!(denials(&report.events), asks, "{report:?}");
    }
}

/// Either it is enforced or nothing runs.
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

/// A grant of what the misbehaving guests start.
fn sleep() -> String {
    grant(
        "sleep",
        "/usr/bin/sleep",
        "args = [\"300\"]\nlimits = { wall = \"10min\" }",
    )
}

/// Asserts that every child ended because what held it was dropped.
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
    assert_eq!(report.left.len(), 1, "the guest returns, its child runs on");
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
    let host = TestHost::new()
        .grant_toml(sleep())
        .timeout(Duration::from_millis(500));
    let report = host.run(guests::WAITS_FOREVER).await;
    assert_eq!(report.end, End::TimedOut);
    assert_eq!(report.left.len(), 1, "dropping the call leaves the table");
    assert_all_released(&report, 1);
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
        "the grant does not say `detach`"
    );
    assert_all_released(&report, 1);
}

/// Two stores in one host: what the first leaves, the second takes up.
#[tokio::test]
async fn attaches() {
    let folder = tempfile::tempdir().unwrap();
    let sign = folder.path().join("sign");
    let script = format!(
        "while [ ! -e {} ]; do sleep 0.02; done; echo went on",
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
        "it is not the first store's any more"
    );
    // Only now may it end: it has outlived the store that started it.
    std::fs::write(sign, "").unwrap();

    let host = host.args([first.stdout.trim()]);
    let second = host.run_in(&registry, guests::ATTACHES).await;
    second.assert_exit(0);
    assert_eq!(second.stdout, "went on\nExitStatus::Exited(0)");
    let third = host.run_in(&registry, guests::ATTACHES).await;
    assert_eq!(third.stdout, "no entry\n", "the key was used");
    assert!(registry.shutdown(Duration::from_secs(10)));
}

#[tokio::test]
async fn leaves_child() {
    let script = "echo ready; exec sleep 300";
    let report = run(guests::LEAVES_CHILD, shell(), ["drop", script]).await;
    report.assert_exit(0);
    assert_eq!(report.stdout, "drop\n", "it left its child so");
    assert_all_released(&report, 1);
}

#[tokio::test]
async fn p3_leaves_child() {
    let script = "echo ready; exec sleep 300";
    let report = run(guests::P3_LEAVES_CHILD, shell(), ["drop", script]).await;
    report.assert_exit(0);
    assert_eq!(report.stdout, "drop\n", "it left its child so");
    assert_all_released(&report, 1);
}

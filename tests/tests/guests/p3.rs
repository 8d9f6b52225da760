//! Guests of version 0.3 of the interface, and one of both versions.

use std::pin::Pin;
use std::sync::Arc;

use capspawn::{Answer, Approver, Event, EventKind, Question};
use e2e::{TestHost, guests};

use crate::{denials, grant, run, shell};

#[tokio::test]
pub(crate) async fn p3_run() {
    let allowed = grant("uname", "/usr/bin/uname", "args = [\"-s\"]");
    let report = run(guests::P3_RUN, &allowed, ["uname", "-s"]).await;
    report.assert_exit(0);
    assert_eq!(report.stdout, "Linux\nuname: ExitStatus::Exited(0)\n");
    let refused = run(guests::P3_RUN, &allowed, ["uname", "-a"]).await;
    refused.assert_exit(0);
    assert!(
        refused
            .stdout
            .contains("AccessDenied(DeniedItem::Argument)")
    );
    assert_eq!(denials(&refused.events), 1);
}

/// Each program waits for the output of the other, so neither ends before both run.
#[tokio::test]
pub(crate) async fn p3_two_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().to_str().unwrap();
    let pipes = [format!("{folder}/ping"), format!("{folder}/pong")];
    let made = std::process::Command::new("mkfifo")
        .args(["-m", "666"])
        .args(pipes)
        .status();
    assert!(made.unwrap().success());
    let report = run(guests::P3_TWO_AT_ONCE, shell(), [folder]).await;
    report.assert_exit(0);
    assert_eq!(report.stdout, "2\n1\n");
}

#[tokio::test]
pub(crate) async fn p3_streams() {
    let report = run(guests::P3_STREAMS, shell(), []).await;
    report.assert_exit(0);
    let ways: Vec<_> = report.stdout.lines().collect();
    assert_eq!(
        ways,
        [
            "round trip",
            "readiness",
            "dropped reader",
            "broken pipe",
            "taken twice",
            "after the handle",
            "connected"
        ]
    );
}

#[tokio::test]
pub(crate) async fn p3_cancel() {
    let one = shell().replacen("sandbox", "max-live = 1\nsandbox", 1);
    let report = run(guests::P3_CANCEL, one, []).await;
    report.assert_exit(0);
    assert_eq!(report.stdout, "wait and read\nrun\n");
}

/// An approver that never answers.
struct Silent;

impl Approver for Silent {
    fn ask<'a>(
        &'a self,
        _question: &'a Question,
    ) -> Pin<Box<dyn Future<Output = Answer> + Send + 'a>> {
        Box::pin(std::future::pending())
    }
}

#[tokio::test]
async fn p3_cancel_leaves_no_child_of_a_cancelled_spawn() {
    let needs_approval = shell().replacen("interpreter", "decision = \"ask\"\ninterpreter", 1);
    let host = TestHost::new()
        .grant_toml(needs_approval)
        .registry(|registry| registry.approver(Arc::new(Silent)))
        .args(["spawn"]);
    let report = host.run(guests::P3_CANCEL).await;
    report.assert_exit(0);
    assert_eq!(report.stdout, "spawn\n");
    let spawned = |event: &Event| matches!(event.kind, EventKind::Spawn { .. });
    assert!(!report.events.iter().any(spawned));
}

#[tokio::test]
pub(crate) async fn p3_drain() {
    let head = grant(
        "head",
        "/usr/bin/head",
        "args = [\"-c\", \"*\", \"/dev/zero\"]",
    );
    let report = run(
        guests::P3_DRAIN,
        head,
        ["head", "-c", "10000019", "/dev/zero"],
    )
    .await;
    report.assert_exit(0);
    assert_eq!(report.stdout, "10000019 bytes\n");
}

#[tokio::test]
pub(crate) async fn p3_pipe_through() {
    let tr = grant("tr", "/usr/bin/tr", "args = [\"*\", \"*\"]");
    let host = TestHost::new()
        .grant_toml(tr)
        .args(["tr", "a-z", "A-Z"])
        .stdin("hello\n");
    let report = host.run(guests::P3_PIPE_THROUGH).await;
    report.assert_exit(0);
    assert_eq!(report.stdout, "HELLO\n");
    assert_eq!(report.stderr, "ExitStatus::Exited(0)\n");
}

#[tokio::test]
pub(crate) async fn p3_library() {
    let host = TestHost::new().grant_toml(shell()).stdin("input\n");
    let report = host.run(guests::P3_LIBRARY).await;
    report.assert_exit(0);
    let parts: Vec<_> = report.stdout.lines().collect();
    let expected = "output input printed inherit both_ways connected ends several cancelled unused";
    let expected: Vec<_> = expected
        .split(' ')
        .map(|part| part.replace('_', " "))
        .collect();
    assert_eq!(parts, expected);
}

#[tokio::test]
pub(crate) async fn both_versions() {
    let one = shell().replacen("sandbox", "max-live = 1\nsandbox", 1);
    let report = run(guests::BOTH_VERSIONS, one, []).await;
    report.assert_exit(0);
    assert_eq!(report.stdout, "both versions\n");
}

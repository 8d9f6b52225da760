//! Guests that hand pipes, files, bytes and signals to their children, in both versions.

use std::path::Path;

use capspawn::EventKind;
use e2e::{Guest, Report, TestHost, guests};
use test_kit::{TEST_TIMEOUT, open_to_all, scratch};

/// Runs `guest` with a read root and a write root, under a grant that allows what it hands over.
async fn run(guest: Guest) -> Report {
    let folder = scratch();
    let at = |name: &str| folder.path().join(name).to_str().expect("text").to_owned();
    let (read, write) = (at("read"), at("write"));
    for path in [&read, &write] {
        std::fs::create_dir(path).expect("the folder is ours");
        open_to_all(path);
    }
    std::fs::write(Path::new(&read).join("text"), "some text\n").expect("the folder is ours");
    let fifo = std::process::Command::new("mkfifo")
        .arg(at("read/fifo"))
        .status();
    assert!(fifo.expect("it starts").success());
    open_to_all(at("read/fifo"));
    let grant = format!(
        r#"
        version = 1
        [component.guest]
        sandbox = "none"
        redirect = true
        fs = {{ read = [{read:?}], write = [{write:?}] }}
        limits = {{ wall = "10min", cpu = "10min" }}
        env = {{ allow = ["V"] }}
        [[component.guest.command]]
        name = "sh"
        program = "/bin/sh"
        args = [{{ rest = true, allow-dash = true }}]
        interpreter = true
        allow-bytes = true
        allow-arg0 = ["listed"]
        [[component.guest.command]]
        name = "strict"
        program = "/bin/sh"
        args = [{{ rest = true, allow-dash = true }}]
        interpreter = true
        "#
    );
    let host = TestHost::new().grant_toml(grant).args([read, write]);
    host.timeout(TEST_TIMEOUT).run(guest).await
}

#[tokio::test]
pub(crate) async fn hands_over() {
    let report = run(guests::HANDS_OVER).await;
    report.assert_exit(0);
    let lines: Vec<_> = report.stdout.lines().collect();
    let (last, handed) = lines.split_last().unwrap();
    let expected = [
        "pipes",
        "handed twice",
        "merged",
        "files",
        "bytes",
        "signals",
    ];
    assert_eq!(handed, expected);
    // The guest numbers its children without gaps, although others were refused in between.
    let started = |kind: &EventKind| matches!(kind, EventKind::Spawn { .. });
    let children = report.events.iter().filter(|it| started(&it.kind)).count();
    assert_eq!(*last, format!("numbered after {}", children - 2));
}

#[tokio::test]
pub(crate) async fn p3_hands_over() {
    let report = run(guests::P3_HANDS_OVER).await;
    report.assert_exit(0);
    assert_eq!(report.stdout, "pipes\nfiles\nbytes\nsignals\n");
}

//! The exit codes of the command: the component `exec` exits with that of its
//! child, or with one that names what happened to it.

use std::fs;

use crate::harness::{Setup, has_tier_a, outcome, run, script};
use crate::support::{exec, program};

#[test]
fn a_component_runs_git() {
    let setup = Setup::new(&[("git", &program("git"), "args = [\"--version\"]")]);
    let outcome = setup.exec(&["git", "--version"]);
    assert!(outcome.stdout.starts_with("git version "), "{outcome:?}");
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
}

#[test]
fn a_denial_is_126_and_shows_the_guest_nothing_of_the_grant() {
    let setup = Setup::new(&[("git", &program("git"), "args = [\"--version\"]")]);
    for request in [&["git", "push"][..], &["git"], &["sh", "-c", "id"]] {
        let outcome = setup.exec(request);
        assert_eq!(
            (outcome.code, outcome.stdout.as_str()),
            (Some(126), ""),
            "{outcome:?}"
        );
        let seen = outcome.guest_stderr();
        let git = program("git");
        for policy in ["--version", "grants.toml", "rule", git.to_str().unwrap()] {
            assert!(!seen.contains(policy), "the guest sees {policy:?}: {seen}");
        }
        let operator = outcome
            .stderr
            .lines()
            .any(|line| line.starts_with("capspawn: exec "));
        assert!(operator, "the operator sees the denial: {outcome:?}");
    }
}

#[test]
fn without_a_grant_file_every_request_is_denied_with_a_message() {
    let outcome = run(&[exec(), "--", "git", "--version"]);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(126), ""));
    assert!(
        outcome.stderr.contains("no --grants FILE was given"),
        "{outcome:?}"
    );
}

#[test]
fn a_component_without_a_section_is_denied_every_request() {
    let setup = Setup::new(&[("git", &program("git"), "args = [\"--version\"]")]);
    let grants = setup.grants();
    let grants = ["--grants", grants.to_str().unwrap(), "--component", "other"];
    let outcome = run(&[&grants[..], &[exec(), "--", "git", "--version"]].concat());
    assert_eq!(outcome.code, Some(126), "{outcome:?}");
}

#[test]
fn a_required_sandbox_is_never_skipped() {
    // A denied path in a readable root needs a mount namespace, which tier B lacks.
    let hole = "sandbox = \"required\"\nfs = { deny = [\"/usr/share\"] }";
    let holed = script("echo ran", hole);
    let plain = script("echo ran", "sandbox = \"required\"");
    let run = |setup: &Setup, tier: &str| {
        let args = ["script", "-c", "echo ran"];
        outcome(&mut setup.command_with(&["--tier", tier], &args))
    };
    for (refused, unmet) in [
        (run(&holed, "B"), "deny-holes"),
        (run(&plain, "C"), "fs-read"),
    ] {
        assert_eq!(refused.stdout, "");
        assert_ne!(refused.code, Some(0));
        assert!(refused.stderr.contains(unmet), "{refused:?}");
    }
    // Without the denied path, or in a tier that can deny it, the program runs.
    let mut admitted = vec![run(&plain, "B")];
    if has_tier_a() {
        admitted.push(run(&holed, "A"));
    }
    for outcome in admitted {
        assert_eq!(
            (outcome.code, outcome.stdout.as_str()),
            (Some(0), "ran\n"),
            "{outcome:?}"
        );
    }
}

#[test]
fn the_exit_code_is_that_of_the_child() {
    for code in [0, 1, 7, 255] {
        let text = format!("exit {code}");
        let outcome = script(&text, "").exec(&["script", "-c", &text]);
        assert_eq!(outcome.code, Some(code), "{outcome:?}");
    }
}

#[test]
fn a_signal_is_128_and_its_number() {
    let outcome = script("kill -KILL $$", "").exec(&["script", "-c", "kill -KILL $$"]);
    assert_eq!(outcome.code, Some(128 + 9), "{outcome:?}");
}

#[test]
fn a_timeout_is_124() {
    let setup = script("sleep 60", "limits = { wall = \"100ms\" }");
    let outcome = setup.exec(&["script", "-c", "sleep 60"]);
    assert_eq!(outcome.code, Some(124), "{outcome:?}");
}

#[test]
fn a_program_that_the_kernel_cannot_execute_is_127() {
    // The file exists, but the dynamic loader that it names does not.
    let dir = tempfile::tempdir().unwrap();
    let broken = dir.path().join("broken");
    let mut bytes = fs::read(program("uname")).unwrap();
    let loader = bytes
        .windows(4)
        .position(|it| it == b"/ld-")
        .expect("the program is linked dynamically");
    bytes[loader + 1] = b'X';
    fs::copy(program("uname"), &broken).unwrap();
    fs::write(&broken, bytes).unwrap();

    let outcome = Setup::new(&[("broken", &broken, "")]).exec(&["broken"]);
    assert_eq!(outcome.code, Some(127), "{outcome:?}");
}

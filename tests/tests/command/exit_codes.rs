//! What the component `exec` makes of a child's end is the command's exit code.

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
fn a_denial_is_126_and_tells_the_guest_no_policy() {
    let setup = Setup::new(&[("git", &program("git"), "args = [\"--version\"]")]);
    for request in [&["git", "push"][..], &["git"], &["sh", "-c", "id"]] {
        let outcome = setup.exec(request);
        assert_eq!(
            (outcome.code, outcome.stdout.as_str()),
            (Some(126), ""),
            "{outcome:?}"
        );
        let heard = outcome.guest_stderr();
        let git = program("git");
        for policy in ["--version", "grants.toml", "rule", git.to_str().unwrap()] {
            assert!(
                !heard.contains(policy),
                "the guest heard {policy:?}: {heard}"
            );
        }
        let operator = outcome
            .stderr
            .lines()
            .any(|line| line.starts_with("capspawn: exec "));
        assert!(operator, "the operator is told: {outcome:?}");
    }
}

#[test]
fn without_grants_everything_is_denied_and_says_so() {
    let outcome = run(&[exec(), "--", "git", "--version"]);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(126), ""));
    assert!(
        outcome.stderr.contains("no --grants FILE was given"),
        "{outcome:?}"
    );
}

#[test]
fn a_component_without_a_section_may_run_nothing() {
    let setup = Setup::new(&[("git", &program("git"), "args = [\"--version\"]")]);
    let grants = setup.grants();
    let grants = ["--grants", grants.to_str().unwrap(), "--component", "other"];
    let outcome = run(&[&grants[..], &[exec(), "--", "git", "--version"]].concat());
    assert_eq!(outcome.code, Some(126), "{outcome:?}");
}

#[test]
fn a_required_sandbox_is_never_skipped() {
    // A hole in a readable root takes a mount namespace, which tier B has not.
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
    // The same is enforced, and runs, without the hole or in a tier that has it.
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
fn the_childs_code_is_the_commands() {
    for code in [0, 1, 7, 255] {
        let text = format!("exit {code}");
        let outcome = script(&text, "").exec(&["script", "-c", &text]);
        assert_eq!(outcome.code, Some(code), "{outcome:?}");
    }
}

#[test]
fn a_signal_is_128_more() {
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
fn a_program_that_the_kernel_does_not_find_is_127() {
    // A program whose dynamic loader does not exist: it opens, and does not run.
    let dir = tempfile::tempdir().unwrap();
    let broken = dir.path().join("broken");
    let mut bytes = fs::read(program("uname")).unwrap();
    let loader = bytes
        .windows(4)
        .position(|it| it == b"/ld-")
        .expect("dynamically linked");
    bytes[loader + 1] = b'X';
    fs::copy(program("uname"), &broken).unwrap();
    fs::write(&broken, bytes).unwrap();

    let outcome = Setup::new(&[("broken", &broken, "")]).exec(&["broken"]);
    assert_eq!(outcome.code, Some(127), "{outcome:?}");
}

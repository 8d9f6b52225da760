//! A host that is short of something: what the command reports, and that it neither hangs nor
//! advises less safety.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use crate::harness::{Outcome, Setup, outcome};
use crate::support::{capspawn, exec, program};

/// A user that no other process of the machine runs as.
const USER: &str = "1634234";

/// A grant of one program, with the sandbox required.
fn confined() -> Setup {
    Setup::new(&[("true", &program("true"), "sandbox = \"required\"")])
}

/// Runs the command through `through`, such as `["prlimit", "--nofile=24"]`.
fn through(through: &[&str], setup: &Setup) -> Outcome {
    let mut command = Command::new("timeout");
    command.arg("60").args(through);
    command.arg(capspawn()).arg("run").arg("--grants");
    command.arg(setup.grants()).arg(exec()).args(["--", "true"]);
    outcome(&mut command)
}

fn assert_no_advice(outcome: &Outcome) {
    for word in ["best-effort", "\"none\""] {
        assert!(!outcome.stderr.contains(word), "{outcome:?}");
    }
}

#[test]
fn a_host_short_of_descriptors_is_at_capacity() {
    let setup = confined();
    let mut refused = 0;
    for limit in [18, 20, 24, 28, 32] {
        let limit = format!("--nofile={limit}:{limit}");
        let outcome = through(&["prlimit", &limit], &setup);
        assert_no_advice(&outcome);
        // With some more of them it may be enough.
        if outcome.code == Some(0) {
            continue;
        }
        assert!(
            outcome.stderr.contains("RLIMIT_NOFILE"),
            "{limit}: {outcome:?}"
        );
        // Now and then wasmtime is the one that has no descriptor.
        if outcome.code != Some(2) {
            assert_eq!(outcome.code, Some(125), "{limit}: {outcome:?}");
            assert!(outcome.stderr.contains("host capacity"), "{outcome:?}");
        }
        refused += 1;
    }
    assert!(refused > 2, "only {refused}");
    assert_eq!(through(&["prlimit", "--nofile=256"], &setup).code, Some(0));
}

/// The kernel does not apply the limit to root.
#[test]
fn a_host_short_of_processes_fails_in_one_line_or_is_at_capacity() {
    if !test_kit::is_root() {
        return;
    }
    let setup = confined();
    let grants = setup.grants();
    fs::set_permissions(&grants, Permissions::from_mode(0o644)).expect("it is ours");
    let folder = grants.parent().expect("a folder");
    fs::set_permissions(folder, Permissions::from_mode(0o755)).expect("it is ours");
    let user = |arguments: &[&str]| {
        let user = [
            "setpriv",
            &format!("--reuid={USER}"),
            &format!("--regid={USER}"),
            "--clear-groups",
        ]
        .map(str::to_owned);
        let all: Vec<_> = user.iter().map(String::as_str).collect();
        through(&[&all[..], arguments].concat(), &setup)
    };
    if user(&[]).code != Some(0) {
        // The checkout is where that user cannot read.
        return;
    }
    let mut at_capacity = 0;
    for limit in 2..=12 {
        let outcome = user(&["prlimit", &format!("--nproc={limit}")]);
        assert_no_advice(&outcome);
        match outcome.code {
            Some(0) => {}
            Some(2) => assert!(outcome.complaint().contains("RLIMIT_NPROC"), "{outcome:?}"),
            _ => {
                assert_eq!(outcome.code, Some(125), "{limit}: {outcome:?}");
                assert!(outcome.stderr.contains("host capacity"), "{outcome:?}");
                at_capacity += 1;
            }
        }
        if limit <= 6 {
            assert_eq!(outcome.code, Some(2), "{limit}: {outcome:?}");
        }
    }
    assert!(at_capacity > 0, "no limit leaves the command and no child");
}

#[test]
fn a_limit_on_the_size_of_files_does_not_end_the_host() {
    let setup = confined();
    let outcome = through(&["prlimit", "--fsize=4096"], &setup);
    assert_no_advice(&outcome);
    // wasmtime's own files may be too large too, which is a trap. The signal would be 128 + 25.
    assert!(matches!(outcome.code, Some(125 | 134)), "{outcome:?}");
    assert!(outcome.stderr.contains("capspawn: "), "{outcome:?}");
}

/// It could not end them.
#[test]
fn root_without_the_right_to_signal_starts_no_child() {
    if !test_kit::is_root() {
        return;
    }
    let without = ["setpriv", "--inh-caps=-kill", "--bounding-set=-kill"];
    let none = Setup::new(&[("true", &program("true"), "")]);
    for setup in [confined(), none] {
        let outcome = through(&without, &setup);
        assert_no_advice(&outcome);
        assert_eq!(outcome.code, Some(125), "{outcome:?}");
    }
}

/// A path of many links that each lead up and down, thousands of times.
#[test]
fn a_decision_that_takes_long_leaves_the_command_to_its_timeout() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().canonicalize().expect("it exists");
    fs::create_dir(path.join("d")).expect("an empty folder");
    for number in 0..15 {
        let target = format!("{}l{}", "d/../".repeat(700), number + 1);
        std::os::unix::fs::symlink(target, path.join(format!("l{number}"))).expect("new");
    }
    std::os::unix::fs::symlink("d", path.join("l15")).expect("a new name");
    let rest = format!(
        "fs = {{ read = [\"{0}\"] }}\ncwd = {{ default = \"{0}\", roots = [\"{0}\"] }}\n\
         args = [{{ path = {{ under = [\"{0}\"] }}, repeat = \"1..\" }}]",
        path.display()
    );
    let setup = Setup::new(&[("true", &program("true"), &rest)]);
    let paths: Vec<_> = (0..20_000).map(|number| format!("l0/{number}")).collect();
    let mut args = vec!["true"];
    args.extend(paths.iter().map(String::as_str));
    // Without a bound it takes minutes. With one it is the command's time-out, or a refusal.
    let run = setup.command_with(&["--timeout", "1s"], &args);
    let mut command = Command::new("timeout");
    command.args(["--signal=KILL", "60"]).arg(run.get_program());
    let outcome = outcome(command.args(run.get_args()));
    assert!(matches!(outcome.code, Some(124 | 125)), "{outcome:?}");
}

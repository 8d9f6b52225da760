//! An invalid grant file, which starts nothing, and the output of `check` and
//! `explain` for a valid one.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::Command;

use crate::harness::{Setup, outcome, script};
use crate::support::{capspawn, program};

#[test]
fn an_invalid_grant_file_is_one_line_with_the_position() {
    let setup = Setup::new(&[]);
    let head = "version = 1\n[component.exec]\n[[component.exec.command]]\nname = \"uname\"\n";
    let uname = program("uname");
    let uname = format!("{head}program = \"{}\"\n", uname.display());
    // The text, the place of the error (line:column), and a word of the message.
    let cases = [
        (format!("{uname}argz = []\n"), ":6:1", "argz"),
        (
            "version = 1\n[components]\n".to_owned(),
            ":2:",
            "components",
        ),
        (
            format!("{uname}limits = {{ wall = \"10 bananas\" }}\n"),
            ":6:",
            "bananas",
        ),
        (format!("{uname}limits = {{ wall = 10 }}\n"), ":6:", "wall"),
        (
            format!("{head}program = \"bin/uname\"\n"),
            ":5:",
            "absolute",
        ),
        (
            format!("{head}program = \"/does/not/exist\"\n"),
            ":5:",
            "/does/not/exist",
        ),
        (format!("{uname}args = [\"**\", \"x\"]\n"), ":6:", "**"),
        (format!("{uname}args = [\n"), ":", "grants.toml"),
    ];
    for (text, position, named) in cases {
        fs::write(setup.grants(), &text).unwrap();
        let outcome = setup.exec(&["uname"]);
        let line = outcome.complaint();
        assert!(line.contains("grants.toml"), "{line}\n{text}");
        assert!(line.contains(position), "no {position}: {line}\n{text}");
        assert!(line.contains(named), "no {named}: {line}\n{text}");
        assert!(!setup.events_file().exists(), "a child was started");
    }
}

#[test]
fn a_grant_file_that_cannot_be_read_is_one_line() {
    let setup = Setup::new(&[]);
    fs::write(setup.grants(), b"version = 1\n# \xff\n").unwrap();
    assert!(setup.exec(&["x"]).complaint().contains("UTF-8"));

    fs::remove_file(setup.grants()).unwrap();
    let missing = setup.exec(&["x"]);
    assert!(missing.complaint().contains("grants.toml"), "{missing:?}");

    fs::create_dir(setup.grants()).unwrap();
    let check = outcome(Command::new(capspawn()).arg("check").arg(setup.grants()));
    for outcome in [setup.exec(&["x"]), check] {
        let line = outcome.complaint();
        let expected = "grants.toml: is a directory, not a grant file";
        assert!(line.contains(expected), "{line}");
    }
    assert!(!setup.events_file().exists(), "a child was started");
}

#[test]
fn check_shows_what_a_grant_file_allows() {
    let setup = Setup::new(&[("git", &program("git"), "args = [\"log\", \"*\"]")]);
    let check = || outcome(Command::new(capspawn()).arg("check").arg(setup.grants()));
    let shown = check();
    assert_eq!(
        (shown.code, shown.stderr.as_str()),
        (Some(0), ""),
        "{shown:?}"
    );
    for word in ["\"exec\"", "may run     \"git\" = ", "confined    none"] {
        assert!(shown.stdout.contains(word), "{shown:?}");
    }

    fs::write(setup.grants(), "version = 1\nunknown = 1\n").unwrap();
    assert!(check().complaint().contains(":2:1"));
}

#[test]
fn explain_decides_without_starting_the_program() {
    let ask = "args = [\"push\"]\ndecision = \"ask\"";
    let git = program("git");
    let setup = Setup::new(&[("git", &git, "args = [\"log\"]"), ("git", &git, ask)]);
    let explain = |component: &str, request: &[&str]| {
        let mut command = Command::new(capspawn());
        command
            .args(["explain", "--json"])
            .arg(setup.grants())
            .args([component, "git", "--"]);
        outcome(command.args(request))
    };
    let cases = [
        ("exec", &["log"][..], 0, "allow"),
        ("exec", &["push"], 4, "ask"),
        ("exec", &["clone"], 3, "deny"),
        ("other", &["log"], 3, "deny"),
    ];
    for (component, request, code, decision) in cases {
        let answer = explain(component, request);
        assert_eq!(answer.code, Some(code), "{answer:?}");
        let json: serde_json::Value =
            serde_json::from_str(&answer.stdout).expect("the output is JSON");
        assert_eq!(json["decision"], decision);
        assert_eq!(json["component"], component);
        if code == 0 {
            assert_eq!(json["argv"][1], "log");
            assert_eq!(json["sandbox"], "none");
        }
    }
}

#[test]
fn check_refuses_a_write_root_that_children_cannot_write() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    fs::create_dir(&out).unwrap();
    let mode = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    mode(folder.path(), 0o755);
    let write = format!("sandbox = \"required\"\nfs = {{ write = [{out:?}] }}");
    let setup = script("id -u > $0", &write);
    let check = |run_as: &str| {
        let mut command = Command::new(capspawn());
        command.args(["check", "--run-as", run_as]);
        outcome(command.arg(setup.grants()))
    };
    mode(&out, 0o755);
    let refused = check("54321:54321");
    let line = refused.complaint();
    let expected = "out: the user that children run as (54321:54321) cannot write it: chown it";
    assert!(line.contains(expected), "{line}");
    let place = line.split(": write root").next().unwrap();
    let is_number = |it: &str| it.parse::<u32>().is_ok();
    assert!(place.rsplit(':').take(2).all(is_number), "{line}");
    let own = fs::metadata(&out).unwrap();
    let owner = format!("{}:{}", own.uid(), own.gid());
    let admitted = check(&owner);
    assert_eq!(admitted.code, Some(0), "{admitted:?}");
    mode(&out, 0o777);
    assert_eq!(check("54321:54321").code, Some(0));
}

#[test]
fn children_of_a_root_host_run_as_the_user_of_the_option() {
    let setup = script("id -u; id -g", "sandbox = \"none\"");
    let run = |options: &[&str]| {
        let args = ["script", "-c", "id -u; id -g"];
        outcome(&mut setup.command_with(options, &args))
    };
    let outcome = run(&["--run-as", "1234:567"]);
    if test_kit::is_root() {
        assert_eq!(outcome.stdout, "1234\n567\n", "{outcome:?}");
        // By default every component has a user of its own, in a common group.
        let by_default = run(&[]).stdout;
        let (uid, gid) = by_default.split_once('\n').expect("two lines");
        assert!((60600..=61111).contains(&uid.parse().expect("a number")));
        assert_eq!(gid, "65534\n");
        let one = run(&["--owner-uids", "5000-5000"]);
        assert_eq!(one.stdout, "5000\n65534\n");
    } else {
        assert!(outcome.complaint().contains("requires root"), "{outcome:?}");
        assert!(!setup.events_file().exists(), "a child was started");
    }
}

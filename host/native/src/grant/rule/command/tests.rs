//! What one rule decides: each refusal next to what is allowed.

use std::fs;
use std::os::unix::fs::symlink;
use std::time::Duration;

use super::*;
use crate::grant::Decision;
use crate::grant::testing::{allowed, component, denied, echo, open_to_all, request};

/// A folder with `work/a`, `work/sub`, `work/.git`, `work/out -> /etc`,
/// `work/@x` and `other`.
fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().canonicalize().expect("it exists");
    for name in ["work", "work/sub", "work/.git", "other"] {
        fs::create_dir(path.join(name)).expect("an empty folder");
    }
    open_to_all(&path.join("work"));
    fs::write(path.join("work/a"), "").expect("the folder is ours");
    fs::write(path.join("work/@x"), "").expect("the folder is ours");
    symlink("/etc", path.join("work/out")).expect("the folder is ours");
    (folder, path)
}

/// A grant of `lines` with the folder's path for `$W`.
fn grant(path: &Path, lines: &str) -> Arc<crate::grant::Grant> {
    component(&echo(lines).replace("$W", path.to_str().expect("it is UTF-8")))
}

const START: &str = r#"cwd = { default = "$W/work", roots = ["$W/work"] }"#;

fn in_folder(folder: &str) -> Command {
    Command {
        cwd: Some(folder.to_owned()),
        ..request(&[])
    }
}

#[test]
fn without_a_cwd_children_start_at_the_root_and_guests_cannot_choose() {
    let grant = component(&echo(""));
    assert_eq!(allowed(&grant, &request(&[])).cwd.path, Path::new("/"));
    let denial = denied(&grant, &in_folder("/"));
    assert_eq!(denial.item, DeniedItem::WorkingDirectory);
}

#[test]
fn a_working_directory_must_lead_below_a_root() {
    let (_keep, path) = folder();
    let grant = grant(
        &path,
        &format!("{START}\nfs = {{ deny = [\"$W/work/.git\"] }}"),
    );
    assert_eq!(allowed(&grant, &request(&[])).cwd.path, path.join("work"));
    for inside in [
        "sub",
        ".",
        "sub/..",
        &path.join("work/sub").to_string_lossy(),
    ] {
        allowed(&grant, &in_folder(inside));
    }
    for outside in ["out", "..", "../other", "/", "sub/../../other", ".git"] {
        let denial = denied(&grant, &in_folder(outside));
        assert_eq!(denial.item, DeniedItem::WorkingDirectory, "{outside}");
    }
    for absent in ["no", "a"] {
        let result = grant.decide(&in_folder(absent));
        assert!(
            matches!(result, Err(SpawnError::WorkingDirectoryNotFound)),
            "{absent}"
        );
    }
}

#[test]
fn a_directory_that_became_a_link_is_not_entered() {
    let (_keep, path) = folder();
    let grant = grant(&path, START);
    allowed(&grant, &request(&[]));
    fs::rename(path.join("work"), path.join("moved")).expect("the folder is ours");
    symlink("/etc", path.join("work")).expect("the folder is ours");
    let result = grant.decide(&request(&[]));
    assert!(
        matches!(result, Err(SpawnError::WorkingDirectoryNotFound)),
        "{result:?}"
    );
}

#[test]
fn a_path_argument_must_lead_below_a_root() {
    let (_keep, path) = folder();
    let lines = format!(
        "{START}\nfs = {{ read = [\"$W/work\"], deny = [\"$W/work/.git\"] }}
         args = [{{ path = {{ under = [\"$W/work\"] }} }}]"
    );
    let grant = grant(&path, &lines);
    let absolute = path.join("work/a");
    for inside in [
        "a",
        "./a",
        "sub/../a",
        "sub/new/file",
        "./@x",
        &absolute.to_string_lossy(),
    ] {
        let plan = allowed(&grant, &request(&[inside]));
        assert_eq!(plan.argv[1], inside, "the argument is unchanged");
    }
    for outside in [
        "out/passwd",
        "../other",
        "/etc/passwd",
        "",
        "-a",
        "@x",
        "new/../../a",
        "a/b",
        ".git/hooks/x",
    ] {
        assert_eq!(
            denied(&grant, &request(&[outside])).item,
            DeniedItem::Argument,
            "{outside}"
        );
    }
    // Relative to the directory in which this child starts.
    let elsewhere = Command {
        cwd: Some("sub".into()),
        ..request(&["../a"])
    };
    allowed(&grant, &elsewhere);
    denied(
        &grant,
        &Command {
            args: vec!["../../a".into()],
            ..elsewhere
        },
    );
}

#[test]
fn a_path_may_have_a_prefix() {
    let (_keep, path) = folder();
    let lines = format!(
        "{START}\nfs = {{ write = [\"$W/work\"] }}
         args = [{{ path = {{ under = [\"$W/work\"], access = \"write\" }}, prefix = \"--out=\" }}]"
    );
    let grant = grant(&path, &lines);
    allowed(&grant, &request(&["--out=new"]));
    for outside in [
        "new",
        "--out=",
        "--out=../x",
        "--out=-x",
        "--out=/etc/passwd",
    ] {
        denied(&grant, &request(&[outside]));
    }
}

#[test]
fn a_timeout_can_only_shorten_the_wall_limit() {
    let grant = component(&echo("limits = { wall = \"10s\" }"));
    let wall = |timeout| {
        let command = Command {
            timeout,
            ..request(&[])
        };
        allowed(&grant, &command).limits.wall
    };
    assert_eq!(wall(None), Duration::from_secs(10));
    assert_eq!(wall(Some(Duration::from_secs(1))), Duration::from_secs(1));
    assert_eq!(wall(Some(Duration::MAX)), Duration::from_secs(10));
}

#[test]
fn the_vector_is_argv0_then_the_fixed_and_then_the_guests_arguments() {
    let grant = component(&echo("fixed = [\"--\"]\nargs = [\"*\"]\narg0 = \"e\""));
    assert_eq!(allowed(&grant, &request(&["x"])).argv, ["e", "--", "x"]);
    let plain = component(&echo(""));
    assert_eq!(allowed(&plain, &request(&[])).argv, ["/bin/echo"]);
}

#[test]
fn a_variable_that_is_not_allowed_is_denied() {
    let grant = component(&echo("env = { allow = [\"A\"], set = { B = \"b\" } }"));
    let with = |name: &str| Command {
        env: vec![(name.into(), "x".into())],
        ..request(&[])
    };
    let env = allowed(&grant, &with("A")).env;
    for expected in [("A", "x"), ("B", "b"), ("LANG", "C.UTF-8")] {
        assert!(
            env.contains(&(expected.0.into(), expected.1.into())),
            "{expected:?}"
        );
    }
    let denial = denied(&grant, &with("B"));
    assert_eq!(denial.item, DeniedItem::Environment);
    assert_eq!(
        denial.would_allow.as_deref(),
        Some("env = { allow = [\"B\"] }")
    );
}

/// A request for `name` with each standard input that is not null.
fn with_stdin(name: &str) -> [Command; 2] {
    [Stdin::Piped, Stdin::Bytes("x".into())].map(|stdin| Command {
        stdin,
        ..Command::new(name)
    })
}

#[test]
fn standard_input_is_denied_with_the_line_that_would_allow_it() {
    let closed = component(&echo("stdin = false"));
    let open = component(&echo("stdin = true"));
    allowed(&closed, &request(&[]));
    for command in with_stdin("echo") {
        assert_eq!(allowed(&open, &command).streams.stdin, command.stdin);
        let denial = denied(&closed, &command);
        assert_eq!(denial.item, DeniedItem::Stdio);
        assert_eq!(denial.nearest.as_deref(), Some("echo"));
        assert_eq!(denial.would_allow.as_deref(), Some("stdin = true"));
        assert!(denial.reason.contains("stdin = false"), "{}", denial.reason);
    }
    // Output is not restricted.
    let discarding = Command {
        stdout: crate::streams::Stdio::Null,
        ..request(&[])
    };
    allowed(&closed, &discarding);
}

#[test]
fn standard_input_is_denied_for_any_program_and_before_approval() {
    let any = |line: &str| {
        let text = "[[component.c.command]]\nname = \"*\"\nprogram = \"*\"\n";
        component(&format!("{text}{line}\n"))
    };
    let ask = |line: &str| component(&echo(&format!("decision = \"ask\"\n{line}")));
    for command in with_stdin("/bin/echo") {
        allowed(&any(""), &command);
        assert_eq!(
            denied(&any("stdin = false"), &command).item,
            DeniedItem::Stdio
        );
    }
    for command in with_stdin("echo") {
        let asks = ask("").decide(&command);
        assert!(matches!(asks, Ok(Decision::Ask(_))), "{asks:?}");
        assert_eq!(
            denied(&ask("stdin = false"), &command).item,
            DeniedItem::Stdio
        );
    }
    let without = ask("stdin = false").decide(&request(&[]));
    assert!(matches!(without, Ok(Decision::Ask(_))), "{without:?}");
}

#[test]
fn the_plan_of_a_script_executes_its_interpreter() {
    use std::os::unix::fs::PermissionsExt;
    let (_keep, path) = folder();
    let script = path.join("other/tool");
    fs::write(&script, "#!/bin/sh -e\n").expect("the folder is ours");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("it is ours");
    let script = script.to_str().expect("it is UTF-8");
    let grant = component(&echo("args = [\"*\"]").replace("/bin/echo", script));
    let plan = allowed(&grant, &request(&["x"]));
    assert_eq!(plan.argv, ["/bin/sh", "-e", script, "x"]);
    assert_eq!(plan.program.path, Path::new("/bin/sh"));
}

/// A guest sees no difference, whatever the host could see there.
#[test]
fn the_answer_for_a_path_outside_the_roots_does_not_depend_on_what_is_there() {
    let (_keep, path) = folder();
    fs::create_dir_all(path.join("other/dir")).expect("the folder is ours");
    fs::write(path.join("other/file"), "").expect("the folder is ours");
    symlink(path.join("work"), path.join("other/back")).expect("the folder is ours");
    symlink("/absent-x", path.join("other/dangling")).expect("the folder is ours");
    fs::create_dir(path.join("work/.git/objects")).expect("the folder is ours");
    let lines = format!(
        "{START}\nfs = {{ read = [\"$W/work\"], deny = [\"$W/work/.git\"] }}
         args = [{{ path = {{ under = [\"$W/work\"] }} }}]"
    );
    let grant = grant(&path, &lines);
    let answer = |command: &Command| match grant.decide(command) {
        Err(SpawnError::Denied(denial)) => (denial.item, denial.nearest),
        other => panic!("{command:?}: {other:?}"),
    };
    let absent = answer(&request(&["../other/absent/../../work/a"]));
    let absent_directory = answer(&in_folder("../other/absent/../../work"));
    for there in ["dir", "file", "back", "dangling", "dir/..", "back/sub"] {
        for through in [
            format!("../other/{there}/../../work/a"),
            format!("../other/{there}"),
        ] {
            assert_eq!(answer(&request(&[&through])), absent, "{through}");
        }
        for through in [
            format!("../other/{there}/../../work"),
            format!("../other/{there}"),
        ] {
            assert_eq!(answer(&in_folder(&through)), absent_directory, "{through}");
        }
    }
    for denied in [".git/objects/../../a", ".git/absent/../../a"] {
        assert_eq!(answer(&request(&[denied])), absent, "{denied}");
        assert_eq!(answer(&in_folder(denied)), absent_directory, "{denied}");
    }
    // Up to a directory above a root, and down again, shows nothing.
    let name = path.file_name().expect("it has one").to_string_lossy();
    allowed(&grant, &request(&["../work/a"]));
    allowed(&grant, &request(&[&format!("../../{name}/work/sub/../a")]));
    let entered = Command {
        args: vec!["../a".into()],
        ..in_folder("../work/sub")
    };
    allowed(&grant, &entered);
}

#[test]
fn a_path_may_lead_through_the_links_by_which_the_grant_names_its_roots() {
    let (_keep, path) = folder();
    symlink("work", path.join("alias")).expect("the folder is ours");
    let lines = "fs = { read = [\"$W/alias\"] }\nargs = [{ path = { under = [\"$W/work\"] } }]";
    let grant = grant(&path, lines);
    let through = |name: &str| path.join(name).to_string_lossy().into_owned();
    allowed(&grant, &request(&[&through("alias/a")]));
    allowed(&grant, &request(&[&through("work/a")]));
    denied(&grant, &request(&[&through("other/../work/a")]));
}

#[test]
fn a_rule_that_denies_a_path_denies_every_way_to_it() {
    let (_keep, path) = folder();
    symlink(path.join("work/sub"), path.join("other/link")).expect("the folder is ours");
    let both = |lines: &str| {
        let rules = echo("args = [\"*\"]") + &echo(lines);
        component(&rules.replace("$W", path.to_str().expect("it is UTF-8")))
    };
    let lines = "decision = \"deny\"\nfs = { read = [\"$W/work\"] }
         args = [{ path = { under = [\"$W/work/sub\"] } }]";
    let grant = both(lines);
    for (through, is_denied) in [
        ("work/sub/x", true),
        ("other/link/x", true),
        ("other/../work/sub/x", true),
        // Whether the folder is there makes no difference.
        ("absent/../work/sub/x", true),
        ("work/a", false),
        ("other/x", false),
    ] {
        let request = request(&[&*path.join(through).to_string_lossy()]);
        assert_eq!(grant.decide(&request).is_err(), is_denied, "{through}");
    }
}

#[test]
fn a_dangerous_variable_is_denied_with_the_reason_and_the_name_that_admits_it() {
    let grant = component(&echo("env = { allow = [\"GIT_*\", \"LESS*\"] }"));
    let with = |name: &str| Command {
        env: vec![(name.into(), "x".into())],
        ..request(&[])
    };
    allowed(&grant, &with("GIT_AUTHOR_DATE"));
    for name in [
        "GIT_CONFIG_COUNT",
        "GIT_EXEC_PATH",
        "GIT_EXTERNAL_DIFF",
        "LESSOPEN",
    ] {
        let denial = denied(&grant, &with(name));
        assert_eq!(denial.item, DeniedItem::Environment);
        assert!(
            denial.reason.contains("`env.allow` needs its full name"),
            "{}",
            denial.reason
        );
        let line = denial.would_allow.expect("there is a remedy");
        allowed(&component(&echo(&line)), &with(name));
    }
}

//! What an operator sees and types: warnings and comparisons of grants, refusals, kills, the summary, the manual.

use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::harness::{Outcome, Setup, outcome, run, script};
use crate::json::assert_matches;
use crate::support::{capspawn, exec, program};

pub(crate) fn capspawn_with(args: &[&str]) -> Outcome {
    outcome(Command::new(capspawn()).args(args))
}

/// Runs the command with this standard input.
fn with_stdin(command: &mut Command, input: &str) -> Outcome {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("the command starts");
    let mut pipe = child.stdin.take().expect("it is a pipe");
    pipe.write_all(input.as_bytes()).expect("the command reads");
    drop(pipe);
    let output = child
        .wait_with_output()
        .expect("it is a child of this test");
    let text = |bytes| String::from_utf8(bytes).expect("the output is text");
    Outcome {
        code: output.status.code(),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

#[test]
fn an_edit_that_widens_a_grant_has_exit_code_1() {
    let setup = Setup::new(&[("git", &program("git"), "args = [\"log\"]")]);
    let old = fs::read_to_string(setup.grants()).expect("it is there");
    let against = |options: &[&str], old: &str| {
        let mut check = Command::new(capspawn());
        check
            .arg("check")
            .args(options)
            .args(["--against", "-"])
            .arg(setup.grants());
        with_stdin(&mut check, old)
    };
    let same = against(&[], &old);
    assert_eq!(
        (same.code, same.stdout.as_str()),
        (Some(0), "Both allow the same.\n"),
        "{same:?}"
    );

    fs::write(
        setup.grants(),
        old.replace("[\"log\"]", "[{ one-of = [\"log\", \"push\"] }]"),
    )
    .expect("it is ours");
    let wider = against(&[], &old);
    assert_eq!(wider.code, Some(1), "{wider:?}");
    assert!(
        wider
            .stdout
            .starts_with("widens    \"exec\" \"git\": args: from "),
        "{wider:?}"
    );
    let json = against(&["--json"], &old);
    let json: Value = serde_json::from_str(&json.stdout).expect("the output is JSON");
    assert_eq!(
        (&json["widens"], &json["changes"][0]["key"]),
        (&true.into(), &"args".into())
    );
    assert_matches(&json, "against");

    fs::write(
        setup.grants(),
        old.replace("args = [\"log\"]", "args = [\"log\"]\nlimits.wall = \"5s\""),
    )
    .expect("it is ours");
    let narrow = against(&[], &old);
    assert_eq!(narrow.code, Some(0), "{narrow:?}");
    assert!(
        narrow
            .stdout
            .contains("narrows   \"exec\" \"git\": limits.wall: from 30s to 5s"),
        "{narrow:?}"
    );

    let broken = against(&[], "version = 2");
    assert!(
        broken
            .complaint()
            .contains("the earlier version, -, does not load"),
        "{broken:?}"
    );
}

#[test]
fn check_shows_limits_and_warns_of_what_cannot_run() {
    let rest = "sandbox = \"required\"\ncwd = { default = \"/var\" }\nenv = { set = { PATH = \"/absent\" } }\nlimits = { memory = \"64MiB\" }";
    let setup = Setup::new(&[("git", &program("git"), rest)]);
    let shown = outcome(Command::new(capspawn()).arg("check").arg(setup.grants()));
    assert_eq!(shown.code, Some(0), "{shown:?}");
    for words in [
        "may run     \"git\" = ",
        "may reach   no network",
        "64MiB of memory",
        "warning: git: cwd /var lies in no fs.read",
        "warning: git: the child sees no folder of its PATH",
    ] {
        assert!(shown.stdout.contains(words), "no {words}: {}", shown.stdout);
    }
}

#[test]
fn a_child_that_the_host_kills_is_a_line_with_the_key_and_its_value() {
    let setup = script("sleep 60", "limits = { wall = \"1s\" }");
    let killed = setup.exec(&["script", "-c", "sleep 60"]);
    assert_eq!(killed.code, Some(124), "{killed:?}");
    assert!(
        killed
            .stderr
            .contains("its time was up (limits.wall = \"1s\""),
        "{killed:?}"
    );
    let events = setup.events();
    let exit = events
        .iter()
        .find(|event| event["event"] == "exit")
        .expect("the child has ended");
    assert_eq!(
        exit["limit"],
        serde_json::json!({ "key": "limits.wall", "value": "1s" })
    );

    let setup = script("yes", "limits = { output = \"1MiB\" }");
    let killed = setup.exec(&["script", "-c", "yes"]);
    assert!(
        killed
            .stderr
            .contains("it reached limits.output = \"1MiB\""),
        "{killed:?}"
    );
}

#[test]
fn each_refusal_is_printed_and_one_that_is_repeated_once() {
    // A shell component would be needed for several requests of one run: each request here is a run.
    let setup = Setup::new(&[("git", &program("git"), "args = [\"log\"]")]);
    let mut command = setup.command_with(&["--summary"], &["git", "push"]);
    let ran = outcome(&mut command);
    assert_eq!(ran.code, Some(126), "{ran:?}");
    assert!(
        ran.stderr
            .contains("capspawn: exec [\"git\", \"push\"] denied (argument)"),
        "{ran:?}"
    );
    assert!(
        ran.stderr
            .contains("0 children ended, 1 request was refused"),
        "{ran:?}"
    );
    assert!(
        ran.stderr
            .contains("capspawn: \"git\" denied (argument) once"),
        "{ran:?}"
    );
}

#[test]
fn the_summary_has_a_row_for_each_child() {
    let setup = script("exit 3", "");
    let ran = outcome(&mut setup.command_with(&["--summary"], &["script", "-c", "exit 3"]));
    assert_eq!(ran.code, Some(3), "{ran:?}");
    let lines: Vec<&str> = ran.stderr.lines().collect();
    assert_eq!(
        lines[0], "capspawn: 1 child ended, 0 requests were refused",
        "{ran:?}"
    );
    assert!(lines[1].starts_with("capspawn: command "), "{ran:?}");
    assert!(
        lines[2].starts_with("capspawn: \"script\" \"-c\" \"exit 3\"  exited with 3  "),
        "{ran:?}"
    );
    // Without the option there is none.
    assert_eq!(setup.exec(&["script", "-c", "exit 3"]).stderr, "");
}

#[test]
fn a_request_that_needs_approval_names_the_option_and_without_a_terminal_what_to_do() {
    let setup = Setup::new(&[(
        "git",
        &program("git"),
        "args = [\"push\"]\ndecision = \"ask\"",
    )]);
    let denied = setup.exec(&["git", "push"]);
    assert!(denied.stderr.contains("run with --ask"), "{denied:?}");
    // `setsid` takes the terminal away, should the test have one.
    let inner = setup.command_with(&["--ask"], &["git", "push"]);
    let mut detached = Command::new(program("setsid"));
    detached
        .arg("--wait")
        .arg(capspawn())
        .args(inner.get_args());
    let denied = outcome(&mut detached);
    assert!(
        denied.stderr.contains("run capspawn from a terminal"),
        "{denied:?}"
    );
}

#[test]
fn a_mistyped_component_gets_the_nearest_name() {
    let setup = Setup::new(&[("git", &program("git"), "args = [\"log\"]")]);
    let ran = outcome(&mut setup.command_with(&["--component", "exex"], &["git", "log"]));
    let expected = "has no component \"exex\" (did you mean \"exec\"?). Every request is denied: pass --component NAME";
    assert!(ran.stderr.contains(expected), "{ran:?}");
    let mut explain = Command::new(capspawn());
    let explained = outcome(
        explain
            .arg("explain")
            .arg(setup.grants())
            .args(["exce", "git"]),
    );
    assert!(
        explained.stderr.contains("(did you mean \"exec\"?)"),
        "{explained:?}"
    );
    // A component without a section and without a similar one learns which the file has.
    let ran = outcome(&mut setup.command_with(&["--component", "other-name"], &["git", "log"]));
    assert!(
        ran.stderr
            .contains("has no component \"other-name\"; it has \"exec\""),
        "{ran:?}"
    );
}

#[test]
fn a_file_that_is_no_component_names_the_next_step() {
    let folder = tempfile::tempdir().expect("/tmp is writable");
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).expect("the folder is ours");
        path.to_str().expect("UTF-8").to_owned()
    };
    let module = file("module.wasm", b"\0asm\x01\0\0\0");
    assert!(
        run(&[&module])
            .complaint()
            .contains("wasm-tools component new")
    );
    // A component whose only import is an instance of another version of the interface.
    let name = b"capspawn:process/process@0.1.0";
    let mut component = b"\0asm\x0d\0\x01\0".to_vec();
    // A type section: an empty instance type; an import section: the name, of that type.
    component.extend([7, 3, 1, 0x42, 0]);
    let length = u8::try_from(name.len()).expect("it is short");
    component.extend([10, length + 5, 1, 0, length]);
    component.extend(name);
    component.extend([5, 0]);
    let other = file("other.wasm", &component);
    let other = run(&[&other]);
    assert!(
        other
            .complaint()
            .contains("imports capspawn:process/process@0.1.0"),
        "{other:?}"
    );
    assert!(other.complaint().contains("build it again"), "{other:?}");
    let missing = run(&[&module.replace("module.wasm", "modul.wasm")]);
    assert!(
        missing
            .complaint()
            .contains("(did you mean \"module.wasm\"?)"),
        "{missing:?}"
    );
    let missing = run(&[&module.replace("module.wasm", "module")]);
    assert!(
        missing.complaint().contains("module.wasm\"?)"),
        "{missing:?}"
    );
    let missing = run(&[&module.replace("module.wasm", "entirely-else.wasm")]);
    assert!(!missing.complaint().contains("did you mean"), "{missing:?}");
}

#[test]
fn a_mistyped_key_command_or_topic_gets_the_nearest_name() {
    assert!(capspawn_with(&["chek", "x"]).stderr.contains("'check'"));
    assert!(
        capspawn_with(&["help", "docter"])
            .complaint()
            .contains("did you mean \"doctor\"?")
    );
    assert!(
        capspawn_with(&["help", "grants", "limits.memry"])
            .complaint()
            .contains("did you mean \"limits.memory\"?")
    );
    assert!(
        capspawn_with(&["help", "json", "chek"])
            .complaint()
            .contains("did you mean \"check\"?")
    );
}

#[test]
fn help_shows_one_key_those_of_a_table_or_all() {
    let one = capspawn_with(&["help", "grants", "limits.memory"]).stdout;
    assert!(
        one.contains("\"1GiB\" if absent") && one.contains("limits.memory = \"64MiB\""),
        "{one}"
    );
    assert!(!one.contains("limits.cpu"), "{one}");
    let table = capspawn_with(&["help", "grants", "env"]).stdout;
    for name in ["env.set", "env.inherit", "env.allow"] {
        assert!(table.contains(name), "{table}");
    }
    let all = capspawn_with(&["help", "grants"]).stdout;
    assert!(
        all.lines()
            .filter(|line| line.starts_with("      why "))
            .count()
            > 50,
        "{all}"
    );
    assert_eq!(
        capspawn_with(&["help", "run"]).stdout,
        capspawn_with(&["run", "--help"]).stdout
    );
}

#[test]
fn completions_and_man_pages_cover_every_command() {
    for shell in ["bash", "zsh", "fish"] {
        let text = capspawn_with(&["completions", shell]).stdout;
        for word in ["check", "explain", "--against", "--summary", "init"] {
            let word = if shell == "fish" {
                word.trim_start_matches('-')
            } else {
                word
            };
            assert!(text.contains(word), "{shell}: no {word}");
        }
    }
    let folder = tempfile::tempdir().expect("/tmp is writable");
    let path = folder.path().to_str().expect("UTF-8");
    let written = capspawn_with(&["man", "--dir", path]);
    assert_eq!(
        (written.code, written.stdout.as_str()),
        (Some(0), ""),
        "{written:?}"
    );
    for command in [
        "capspawn",
        "capspawn-run",
        "capspawn-check",
        "capspawn-explain",
        "capspawn-doctor",
        "capspawn-init",
    ] {
        let page = fs::read_to_string(folder.path().join(format!("{command}.1")))
            .expect("there is a page");
        assert!(page.contains(".SH SYNOPSIS"), "{command}");
    }
    assert!(
        capspawn_with(&["man", "run"])
            .stdout
            .contains("\\-\\-summary")
    );
}

/// Runs a command on a pseudo terminal, and returns what it showed.
fn on_terminal(line: &str, no_color: bool) -> String {
    let mut script = Command::new(program("script"));
    script
        .args(["-q", "-e", "-c", line, "/dev/null"])
        .env("SHELL", "/bin/sh")
        .env("TERM", "xterm");
    script.env_remove("NO_COLOR");
    if no_color {
        script.env("NO_COLOR", "1");
    }
    outcome(&mut script).stdout
}

#[test]
fn colours_are_for_terminals_without_no_color() {
    let setup = Setup::new(&[("git", &program("git"), "")]);
    let check = format!(
        "'{}' check '{}'",
        capspawn().display(),
        setup.grants().display()
    );
    let help = format!("'{}' --help", capspawn().display());
    let plain = outcome(Command::new(capspawn()).arg("check").arg(setup.grants()));
    assert!(
        plain.stdout.contains("warning:") && !plain.stdout.contains('\x1b'),
        "{plain:?}"
    );
    assert!(on_terminal(&check, false).contains("\x1b[33mwarning:\x1b[0m"));
    assert!(on_terminal(&help, false).contains('\x1b'));
    for line in [check, help] {
        let shown = on_terminal(&line, true);
        assert!(!shown.contains('\x1b'), "{shown}");
    }
}

#[test]
fn no_line_about_compiling_is_printed_without_a_terminal() {
    let setup = Setup::new(&[("uname", &program("uname"), "")]);
    let ran = outcome(
        setup
            .command(&["uname"])
            .env("HOME", "/nonexistent")
            .env_remove("XDG_CACHE_HOME"),
    );
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran:?}");
    // Nothing is kept without a home, so this compiles too, on a terminal.
    let mut script = Command::new(program("script"));
    let line = format!("'{}' run '{}' -- uname", capspawn().display(), exec());
    script
        .args(["-q", "-c", &line, "/dev/null"])
        .env("SHELL", "/bin/sh");
    let ran = outcome(
        script
            .env("HOME", "/nonexistent")
            .env_remove("XDG_CACHE_HOME"),
    );
    assert!(ran.stdout.contains("no --grants FILE was given"), "{ran:?}");
}

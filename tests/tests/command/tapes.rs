//! `--record` and `--replay`: examples that are replayed byte for byte, and without any process.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use e2e::guests;
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
use tempfile::TempDir;

use crate::support::{capspawn, program};

/// What a run of the command printed, its exit code, and whether it has had children.
#[derive(Debug, PartialEq, Eq)]
struct Run {
    code: Option<i32>,
    stdout: String,
    stderr: String,
    had_children: bool,
}

/// Whether a process that has ended has waited for a child: only then it has page faults of children.
fn had_children(ended: &Child) -> bool {
    let pid = Pid::from_child(ended);
    waitid(
        WaitId::Pid(pid),
        WaitIdOptions::EXITED | WaitIdOptions::NOWAIT,
    )
    .expect("it is a child");
    let stat = fs::read_to_string(format!("/proc/{}/stat", ended.id())).expect("not reaped yet");
    let (_, fields) = stat.rsplit_once(')').expect("the name is in brackets");
    // The state is the third field of proc(5), the minor faults of children the eleventh.
    let faults = fields.split_ascii_whitespace().nth(11 - 3);
    faults
        .and_then(|faults| faults.parse::<u64>().ok())
        .expect("a number")
        > 0
}

/// A folder with a grant file and a tape.
struct Setup(TempDir);

impl Setup {
    /// A grant for `component` with these commands: a name, a program and more lines.
    fn new(component: &str, commands: &[(&str, &Path, &str)]) -> Self {
        let dir = tempfile::tempdir().expect("/tmp is writable");
        let mut grant = format!("version = 1\n[component.{component}]\nsandbox = \"none\"\n");
        for (name, program, more) in commands {
            grant += &format!(
                "[[component.{component}.command]]\nname = \"{name}\"\nprogram = {program:?}\n{more}\n"
            );
        }
        fs::write(dir.path().join("grants.toml"), grant).expect("it is empty");
        Self(dir)
    }

    fn tape(&self) -> PathBuf {
        self.0.path().join("run.tape")
    }

    fn text(&self) -> String {
        fs::read_to_string(self.tape()).expect("it was recorded")
    }

    fn run(&self, options: &[&str], guest: e2e::Guest, args: &[&str], stdin: &str) -> Run {
        let mut child = Command::new(capspawn())
            .args(["run", "--grants", "grants.toml"])
            .args(options)
            .arg(guest.path)
            .arg("--")
            .args(args)
            .current_dir(self.0.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the command starts");
        let mut input = child.stdin.take().expect("piped");
        // A command that does not read it has closed it.
        let _ = input.write_all(stdin.as_bytes());
        drop(input);
        // Its output fits into pipes.
        let had_children = had_children(&child);
        let output = child.wait_with_output().expect("it has ended");
        let text = |bytes| String::from_utf8(bytes).expect("the output is text");
        Run {
            code: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
            had_children,
        }
    }

    /// Records a run and replays it, and returns the recorded one.
    #[track_caller]
    fn round_trip(&self, guest: e2e::Guest, args: &[&str], stdin: &str) -> Run {
        let recorded = self.run(&["--record", "run.tape"], guest, args, stdin);
        assert!(
            recorded.had_children,
            "children of a recording are processes"
        );
        let replayed = self.run(&["--replay", "run.tape"], guest, args, stdin);
        assert!(!replayed.had_children, "a replay starts no process");
        assert_eq!(
            (&replayed.code, &replayed.stdout, &replayed.stderr),
            (&recorded.code, &recorded.stdout, &recorded.stderr),
            "{}",
            self.text()
        );
        recorded
    }
}

#[test]
fn a_filter_is_replayed() {
    let setup = Setup::new(
        "pipe-through",
        &[("tr", &program("tr"), "args = [\"*\", \"*\"]")],
    );
    let run = setup.round_trip(
        guests::PIPE_THROUGH,
        &["tr", "a-z", "A-Z"],
        "hello\nworld\n",
    );
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), "HELLO\nWORLD\n"));
}

#[test]
fn many_children_are_replayed_with_the_same_winner() {
    let setup = Setup::new(
        "many-children",
        &[("sleep", &program("sleep"), "args = [\"*\"]")],
    );
    let run = setup.round_trip(guests::MANY_CHILDREN, &["sleep", "30", "0.2", "20"], "");
    assert!(run.stdout.starts_with("sleep 0.2: "), "{run:?}");
    assert_eq!(
        setup
            .text()
            .matches("\"event\":\"signal\",\"number\":9")
            .count(),
        2,
        "{}",
        setup.text()
    );
}

const PYTHON: &str = "args = [\"-i\", \"-q\", \"-u\"]\ninterpreter = true";

#[test]
fn a_dialogue_with_an_interpreter_is_replayed() {
    let setup = Setup::new("repl", &[("python", Path::new("/usr/bin/python3"), PYTHON)]);
    let args = [">>> ", "python", "-i", "-q", "-u"];
    let run = setup.round_trip(guests::REPL, &args, "6 * 7\nprint('one\\ntwo')\n1 / 0\n");
    assert!(
        run.stdout.contains(">>> 6 * 7\n42\n") && run.stdout.contains("ZeroDivisionError"),
        "{run:?}"
    );
    // Another question gets no answer.
    let other = setup.run(&["--replay", "run.tape"], guests::REPL, &args, "6 * 8\n");
    assert_eq!(other.code, Some(3), "{other:?}");
    assert!(
        other
            .stderr
            .contains("capspawn: the run differs from its tape:\ncapspawn: call 1 of the tape"),
        "{other:?}"
    );
    assert!(!other.stdout.contains("42"), "{other:?}");
}

#[test]
fn git_is_replayed_where_it_is_another_program() {
    let dir = tempfile::tempdir().expect("/tmp is writable");
    let git = dir.path().join("git");
    fs::copy(program("git"), &git).expect("git can be read");
    let setup = Setup::new("exec", &[("git", &git, "args = [\"--version\"]")]);
    let run = setup.round_trip(guests::EXEC, &["git", "--version"], "");
    assert!(run.stdout.starts_with("git version "), "{run:?}");
    fs::copy(program("false"), &git).expect("false can be read");
    let again = setup.run(
        &["--replay", "run.tape"],
        guests::EXEC,
        &["git", "--version"],
        "",
    );
    assert_eq!((again.code, &again.stdout), (Some(0), &run.stdout));
}

const ECHO: &str = "args = [\"*\"]";

fn echo() -> Setup {
    Setup::new("exec", &[("echo", &program("echo"), ECHO)])
}

#[test]
fn a_request_that_differs_is_shown_as_a_diff_and_the_code_is_3() {
    let setup = echo();
    setup.round_trip(guests::EXEC, &["echo", "one"], "");
    let run = setup.run(
        &["--replay", "run.tape"],
        guests::EXEC,
        &["echo", "two"],
        "",
    );
    assert_eq!(
        (run.code, run.stdout.as_str(), run.had_children),
        (Some(3), "", false)
    );
    let echo = program("echo");
    let diff = format!(
        "capspawn: the run differs from its tape:\n\
         capspawn: call 1, \"echo\" [{echo:?}, \"two\"]: the tape (line 2) has another argv[1]\n\
         capspawn:   - \"one\"\n\
         capspawn:   + \"two\"\n"
    );
    assert!(run.stderr.ends_with(&diff), "{}", run.stderr);
}

#[test]
fn a_denied_request_is_denied_in_a_replay_too() {
    let setup = echo();
    let run = |option| setup.run(&[option, "run.tape"], guests::EXEC, &["echo", "-n"], "");
    let [recorded, replayed] = ["--record", "--replay"].map(run);
    assert_eq!(recorded.code, Some(126), "{recorded:?}");
    assert_eq!(replayed, recorded);
    assert_eq!(setup.text().lines().count(), 1, "nothing was launched");
}

#[test]
fn a_tape_that_was_changed_is_refused_before_the_component_runs() {
    let setup = echo();
    setup.round_trip(guests::EXEC, &["echo", "one"], "");
    fs::write(
        setup.tape(),
        setup.text().replace("\"code\":0", "\"code\":1"),
    )
    .expect("it is ours");
    let run = setup.run(
        &["--replay", "run.tape"],
        guests::EXEC,
        &["echo", "one"],
        "",
    );
    assert_eq!((run.code, run.stdout.as_str()), (Some(2), ""));
    let echo = program("echo");
    let expected = format!(
        "capspawn: cannot replay run.tape: line 2, call 1 (\"echo\" [{echo:?}, \"one\"]): a line of this call"
    );
    assert!(run.stderr.starts_with(&expected), "{}", run.stderr);
}

#[test]
fn a_recording_without_durations_is_the_same_file_again() {
    let setup = echo();
    let record = || {
        setup.run(
            &["--record", "run.tape", "--record-no-times"],
            guests::EXEC,
            &["echo", "one"],
            "",
        );
        setup.text()
    };
    assert_eq!(record(), record());
}

#[test]
fn a_bound_on_recorded_output_is_an_option() {
    let setup = echo();
    let options = ["--record", "run.tape", "--record-max-output", "4B"];
    setup.run(&options, guests::EXEC, &["echo", "123456789"], "");
    let run = setup.run(
        &["--replay", "run.tape"],
        guests::EXEC,
        &["echo", "123456789"],
        "",
    );
    assert_eq!(run.code, Some(3));
    assert!(
        run.stderr
            .contains("the tape has 4 of the 10 bytes of stdout"),
        "{}",
        run.stderr
    );
}

#[test]
fn options_that_have_no_effect_are_refused() {
    let setup = echo();
    for options in [
        &["--record", "a", "--replay", "b"][..],
        &["--record-values"],
        &["--replay-any-order"],
        &["--tape-dir", "WORKSPACE=/tmp"],
        &["--replay", "missing.tape"],
        &["--record", "/missing/folder/tape"],
        &["--record", "a", "--tape-dir", "lower=/tmp"],
    ] {
        let run = setup.run(options, guests::EXEC, &["echo", "one"], "");
        assert_eq!((run.code, run.stdout.as_str()), (Some(2), ""), "{run:?}");
    }
}

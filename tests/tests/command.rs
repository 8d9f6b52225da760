//! The command, end to end: options, exit codes, messages, events.

mod support;

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use support::{capspawn, exec, program};
use tempfile::TempDir;

/// A component that exports `wasi:cli/run` and traps in it:
///
/// ```wat
/// (component
///   (core module (func (export "run") (result i32) unreachable))
///   (core instance (instantiate 0))
///   (func (result (result)) (canon lift (core func 0 "run")))
///   (instance (export "run" (func 0)))
///   (export "wasi:cli/run@0.2.0" (instance 0)))
/// ```
const TRAP: &[u8] =
    b"\0asm\x0d\0\x01\0\x01\x23\0asm\x01\0\0\0\x01\x05\x01\x60\0\x01\x7f\x03\x02\x01\0\
    \x07\x07\x01\x03run\0\0\x0a\x05\x01\x03\0\0\x0b\x02\x04\x01\0\0\0\x07\x08\x02\x6a\0\0\x40\0\0\0\
    \x06\x09\x01\0\0\x01\0\x03run\x08\x06\x01\0\0\0\0\x01\x05\x0a\x01\x01\x01\0\x03run\x01\0\
    \x0b\x18\x01\0\x12wasi:cli/run@0.2.0\x05\0\0\0";
const LIBRARY: &[u8] = b"\0asm\x0d\0\x01\0";
const MODULE: &[u8] = b"\0asm\x01\0\0\0";

/// What one run of the command left.
#[derive(Debug)]
struct Outcome {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Outcome {
    /// An error of the command's own: exit code 2 and one line, which is returned.
    #[track_caller]
    fn complaint(&self) -> &str {
        assert_eq!(self.code, Some(2), "{self:?}");
        assert_eq!(self.stdout, "");
        let line = self.stderr.strip_suffix('\n').expect("a line");
        assert!(!line.contains('\n'), "more than one line: {line}");
        line.strip_prefix("capspawn: ")
            .expect("the command's name first")
    }

    /// What the component wrote to standard error.
    fn guest_stderr(&self) -> String {
        let lines = self
            .stderr
            .lines()
            .filter(|line| !line.starts_with("capspawn: "));
        lines.collect::<Vec<_>>().join("\n")
    }
}

/// A directory with a grant file and a file of events.
struct Setup {
    dir: TempDir,
}

impl Setup {
    /// A grant without confinement for the component `exec`, with these commands.
    fn new(commands: &[(&str, &Path, &str)]) -> Self {
        let setup = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        let mut grant =
            String::from("version = 1\n[defaults]\nsandbox = \"none\"\n[component.exec]\n");
        for (name, program, rest) in commands {
            let program = program.display();
            grant += &format!(
                "[[component.exec.command]]\nname = \"{name}\"\nprogram = \"{program}\"\n{rest}\n"
            );
        }
        fs::write(setup.grants(), grant).unwrap();
        setup
    }

    fn grants(&self) -> PathBuf {
        self.dir.path().join("grants.toml")
    }

    fn events_file(&self) -> PathBuf {
        self.dir.path().join("events.jsonl")
    }

    fn events(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.events_file()).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect()
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(capspawn());
        command.arg("run").arg("--grants").arg(self.grants());
        command
            .arg("--events")
            .arg(self.events_file())
            .arg(exec())
            .arg("--")
            .args(args);
        command
    }

    /// `capspawn run ... exec.wasm -- ARGS`
    fn exec(&self, args: &[&str]) -> Outcome {
        outcome(&mut self.command(args))
    }
}

fn outcome(command: &mut Command) -> Outcome {
    let output = command
        .stdin(Stdio::null())
        .output()
        .expect("the command starts");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    Outcome {
        code: output.status.code(),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

fn run(args: &[&str]) -> Outcome {
    outcome(Command::new(capspawn()).arg("run").args(args))
}

fn sh(name: &'static str, script: &str, rest: &str) -> (&'static str, PathBuf, String) {
    (
        name,
        program("sh"),
        format!("args = [\"-c\", '{script}']\n{rest}"),
    )
}

/// A setup with one command that is a shell script.
fn script(script: &str, rest: &str) -> Setup {
    let (name, program, rest) = sh("script", script, rest);
    Setup::new(&[(name, &program, &rest)])
}

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
    let setup = script("echo ran", "sandbox = \"required\"");
    let outcome = setup.exec(&["script", "-c", "echo ran"]);
    assert_eq!(outcome.stdout, "");
    assert_ne!(outcome.code, Some(0));
    assert!(outcome.stderr.contains("sandbox"), "{outcome:?}");
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
    let start = Instant::now();
    let outcome = setup.exec(&["script", "-c", "sleep 60"]);
    assert_eq!(outcome.code, Some(124), "{outcome:?}");
    assert!(start.elapsed() < Duration::from_secs(30));
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

#[test]
fn a_trap_is_134_and_one_line() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("trap.wasm");
    fs::write(&file, TRAP).unwrap();
    let outcome = run(&[file.to_str().unwrap()]);
    assert_eq!(outcome.code, Some(134), "{outcome:?}");
    assert_eq!(outcome.stderr.lines().count(), 1, "{outcome:?}");
    assert!(outcome.stderr.contains("trapped"), "{outcome:?}");
}

#[test]
fn what_is_no_command_is_one_clear_line() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &[u8]| {
        let file = dir.path().join(name);
        fs::write(&file, content).unwrap();
        file.to_str().unwrap().to_owned()
    };
    let cases = [
        (
            dir.path().join("missing.wasm").to_str().unwrap().to_owned(),
            "does not exist",
        ),
        (dir.path().to_str().unwrap().to_owned(), "is a directory"),
        (file("text.wasm", b"hello"), "is not a component"),
        (file("module.wasm", MODULE), "is a core module"),
        (file("library.wasm", LIBRARY), "is a library"),
        (file("cut.wasm", &TRAP[..40]), "cannot be compiled"),
    ];
    for (guest, expected) in cases {
        let outcome = run(&[&guest]);
        let line = outcome.complaint();
        assert!(line.contains(expected) && line.contains(&guest), "{line}");
    }
}

#[test]
fn a_bad_option_is_2_and_starts_nothing() {
    let exec = exec();
    let missing = run(&["--dir", "/does/not/exist::/x", exec]);
    assert!(
        missing.complaint().contains("/does/not/exist"),
        "{missing:?}"
    );
    let events = run(&["--events", "/does/not/exist/events", exec]);
    assert!(
        events.complaint().contains("/does/not/exist/events"),
        "{events:?}"
    );
    for args in [
        &["--env", "NAME", exec][..],
        &["--dir", "::", exec],
        &["--unknown", exec],
        &[],
    ] {
        let outcome = run(args);
        assert_eq!(
            (outcome.code, outcome.stdout.as_str()),
            (Some(2), ""),
            "{args:?}"
        );
        assert!(outcome.stderr.contains("error: "), "{outcome:?}");
    }
}

#[test]
fn a_bad_grant_file_is_one_line_with_the_position() {
    let setup = Setup::new(&[]);
    let head = "version = 1\n[component.exec]\n[[component.exec.command]]\nname = \"uname\"\n";
    let uname = program("uname");
    let uname = format!("{head}program = \"{}\"\n", uname.display());
    // The text, where the error is (line:column), and a word that names it.
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
        assert!(!setup.events_file().exists(), "something was started");
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
    assert!(setup.exec(&["x"]).complaint().contains("directory"));
    assert!(!setup.events_file().exists(), "something was started");
}

#[test]
fn events_are_one_object_a_line() {
    let setup = script("printf abc; exit 3", "");
    assert_eq!(
        setup.exec(&["script", "-c", "printf abc; exit 3"]).code,
        Some(3)
    );
    assert_eq!(
        setup.exec(&["script", "-c", "something else"]).code,
        Some(126)
    );

    let events = setup.events();
    let kinds: Vec<_> = events
        .iter()
        .map(|event| event["event"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["spawn", "exit", "denied"], "the second run appends");
    for event in &events {
        assert_eq!(event["component"], "exec");
        assert_eq!(event["command"], "script");
        assert_eq!(event["args"][0], "-c");
        assert!(event["time"].is_number(), "{event}");
    }
    let [spawn, exit, denied] = events.try_into().expect("three");
    assert_eq!(spawn["confinement"], "none");
    assert_eq!(exit["id"], spawn["id"]);
    assert_eq!(exit["status"]["exited"], 3);
    assert_eq!(
        (&exit["stdout_bytes"], &exit["stdout_dropped"]),
        (&3.into(), &0.into())
    );
    assert_eq!(
        (&exit["stderr_bytes"], &exit["stderr_dropped"]),
        (&0.into(), &0.into())
    );
    assert_eq!(denied["item"], "argument");
    assert!(denied["reason"].is_string(), "{denied}");
}

#[test]
fn what_is_still_running_dies_with_the_command() {
    let setup = script("echo started; sleep 600", "limits = { wall = \"10min\" }");
    for (signal, code) in [("TERM", 143), ("INT", 130), ("HUP", 129)] {
        let mut command = setup.command(&["script", "-c", "echo started; sleep 600"]);
        let mut running = command
            .stdin(Stdio::null())
            .spawn()
            .expect("the command starts");
        let pid = wait_for(|| {
            let spawn = setup
                .events_file()
                .exists()
                .then(|| setup.events().pop())
                .flatten()?;
            (spawn["event"] == "spawn").then(|| spawn["pid"].as_u64())?
        });
        assert!(Path::new(&format!("/proc/{pid}")).exists());

        let kill = format!("kill -{signal} {}", running.id());
        assert!(
            Command::new("sh")
                .args(["-c", &kill])
                .status()
                .unwrap()
                .success()
        );
        assert_eq!(running.wait().unwrap().code(), Some(code));
        assert!(
            !Path::new(&format!("/proc/{pid}")).exists(),
            "the child outlived the command"
        );
        let last = setup.events().pop().expect("events");
        assert_eq!(last["event"], "exit", "{last}");
    }
}

/// Asks until there is an answer, for at most half a minute.
fn wait_for<T>(mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "nothing happened");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn the_guest_has_what_the_options_name_and_the_child_has_not() {
    // The child's environment is the grant's alone.
    let setup = Setup::new(&[("env", &program("env"), "")]);
    let mut command = setup.command(&["env"]);
    let outcome = outcome(command.env("CAPSPAWN_TEST_SECRET", "inherited"));
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert!(
        !outcome.stdout.contains("CAPSPAWN_TEST_SECRET"),
        "{outcome:?}"
    );
}

#[test]
fn a_guest_that_never_reads_its_input_does_not_hold_the_command() {
    let setup = Setup::new(&[("git", &program("git"), "args = [\"--version\"]")]);
    let mut command = setup.command(&["git", "--version"]);
    let mut running = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the command starts");
    // Standard input stays open while the command is to end.
    let stdin = running.stdin.take();
    let mut line = String::new();
    let mut stdout = BufReader::new(running.stdout.take().expect("piped"));
    stdout.read_line(&mut line).unwrap();
    stdout.read_to_string(&mut line).unwrap();
    assert!(running.wait().unwrap().success());
    assert!(line.starts_with("git version "), "{line}");
    drop(stdin);
}

#[test]
fn the_manual_names_every_exit_code_and_an_example() {
    let help = outcome(Command::new(capspawn()).args(["run", "--help"]));
    assert_eq!(help.code, Some(0));
    for word in [
        "Exit codes:",
        "134",
        "Examples:",
        "Files:",
        "--grants",
        "--events",
        "--component",
    ] {
        assert!(help.stdout.contains(word), "{word}");
    }
    let short = outcome(Command::new(capspawn()).arg("--help"));
    assert!(
        short.stdout.contains("Exit codes:") && short.stdout.contains("run"),
        "{short:?}"
    );
}

//! What happens while a child runs: events, signals, streams.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::harness::{Setup, outcome, script};
use crate::support::{capspawn, program};

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

#[test]
fn a_component_that_computes_for_ever_ends_at_its_timeout_with_its_children() {
    let shell = "args = [\"-c\", \"*\"]\ninterpreter = true\nlimits = { wall = \"10min\" }";
    let setup = Setup::new(&[("sh", &program("sh"), shell)]);
    let mut command = Command::new(capspawn());
    command.args(["run", "--component", "exec", "--timeout", "2s", "--grants"]);
    command.arg(setup.grants());
    command.arg("--events").arg(setup.events_file());
    let script = "echo ready; exec sleep 600";
    let spin = [e2e::guests::LEAVES_CHILD.path, "--", "spin", script];
    let outcome = outcome(command.args(spin));
    assert_eq!(outcome.code, Some(124), "{outcome:?}");
    assert_eq!(outcome.stdout, "spin\n", "it had its child by then");
    assert!(outcome.stderr.contains("--timeout"), "{outcome:?}");
    let [spawn, exit] = setup.events().try_into().expect("two events");
    assert_eq!(exit["status"]["killed"], "released");
    assert!(!Path::new(&format!("/proc/{}", spawn["pid"])).exists());
}

#[test]
fn a_timeout_that_does_not_pass_changes_nothing_and_needs_a_unit() {
    let setup = script("exit 3", "");
    let timed = |time: &str| {
        let mut command = Command::new(capspawn());
        command.args(["run", "--timeout", time, "--grants"]);
        command.arg(setup.grants()).arg(crate::support::exec());
        outcome(command.args(["--", "script", "-c", "exit 3"]))
    };
    assert_eq!(timed("10min").code, Some(3));
    let refused = timed("30");
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.stderr.contains("a time with a unit"), "{refused:?}");
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

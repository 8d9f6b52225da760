//! Events, signals and streams while a child runs, and the end of the command.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Command, Stdio};

use test_kit::wait_for;

use crate::harness::{Setup, outcome, script};
use crate::support::{capspawn, program};

#[test]
fn each_event_is_one_line_of_json() {
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
    assert_eq!(
        kinds,
        ["spawn", "exit", "denied"],
        "the second run appends to the file"
    );
    for event in &events {
        assert_eq!(event["component"], "exec");
        assert_eq!((&event["tenant"], &event["guest"]), (&"".into(), &1.into()));
        assert_eq!(event["command"], "script");
        assert_eq!(event["args"][0], "-c");
        assert!(event["time"].is_number(), "{event}");
    }
    let [spawn, exit, denied] = events.try_into().expect("there are three events");
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
    assert!(exit["usage"]["cpu_seconds"].is_number(), "{exit}");
    assert_eq!(
        (&denied["item"], &denied["by"]),
        (&"argument".into(), &"grant".into())
    );
    assert!(denied["reason"].is_string(), "{denied}");
}

#[test]
fn a_signal_to_the_command_kills_its_children() {
    let setup = script("echo started; sleep 600", "limits = { wall = \"10min\" }");
    for (signal, code) in [("TERM", 143), ("INT", 130), ("HUP", 129)] {
        let mut command = setup.command(&["script", "-c", "echo started; sleep 600"]);
        let mut running = command
            .stdin(Stdio::null())
            .spawn()
            .expect("the command starts");
        let pid = wait_for("the start of the child", || {
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
        let last = setup.events().pop().expect("there are events");
        assert_eq!(last["event"], "exit", "{last}");
    }
}

#[test]
fn a_component_that_computes_without_end_ends_at_its_timeout_with_its_children() {
    let shell = "args = [\"-c\", \"*\"]\ninterpreter = true\nlimits = { wall = \"10min\" }";
    let setup = Setup::new(&[("sh", &program("sh"), shell)]);
    let spin = |timeout: &str| {
        let mut command = Command::new(capspawn());
        command.args(["run", "--component", "exec", "--timeout", timeout]);
        command.arg("--grants").arg(setup.grants());
        command.arg("--events").arg(setup.events_file());
        let script = "echo ready; exec sleep 600";
        command.args([e2e::guests::LEAVES_CHILD.path, "--", "spin", script]);
        let outcome = outcome(&mut command);
        assert_eq!(outcome.code, Some(124), "{outcome:?}");
        assert!(outcome.stderr.contains("--timeout"), "{outcome:?}");
        outcome
    };
    // On a busy machine the shorter timeouts may pass before the component has started its child.
    let has_child = |timeout: &&str| {
        let _ = fs::remove_file(setup.events_file());
        spin(timeout).stdout == "spin\n"
    };
    let timeouts = ["2s", "10s", "60s"];
    assert!(timeouts.iter().any(has_child), "it starts no child");
    let [spawn, exit] = setup.events().try_into().expect("there are two events");
    assert_eq!(exit["status"]["killed"], "released");
    assert!(!Path::new(&format!("/proc/{}", spawn["pid"])).exists());
}

#[test]
fn a_timeout_needs_a_unit_and_changes_nothing_if_it_does_not_pass() {
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
fn a_child_does_not_inherit_the_environment_of_the_command() {
    // Only the grant sets the environment of the child.
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
fn the_command_ends_although_its_standard_input_stays_open() {
    let setup = Setup::new(&[("git", &program("git"), "args = [\"--version\"]")]);
    let mut command = setup.command(&["git", "--version"]);
    let mut running = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the command starts");
    // The test closes its end only after the command has ended.
    let stdin = running.stdin.take();
    let mut line = String::new();
    let mut stdout = BufReader::new(running.stdout.take().expect("it is a pipe"));
    stdout.read_line(&mut line).unwrap();
    stdout.read_to_string(&mut line).unwrap();
    assert!(running.wait().unwrap().success());
    assert!(line.starts_with("git version "), "{line}");
    drop(stdin);
}

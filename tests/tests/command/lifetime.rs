//! What happens while a child runs: events, signals, streams.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::harness::{Setup, outcome, script};
use crate::support::program;

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

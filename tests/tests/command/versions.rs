//! Components of version 0.3, which the command runs as it runs those of version 0.2.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use e2e::{Guest, guests};

use crate::harness::{Outcome, Setup, outcome};
use crate::support::{capspawn, program};

const SHELL: &str = "args = [\"-c\", \"*\"]\ninterpreter = true\nlimits = { wall = \"10min\" }";

/// `capspawn run` of this component, as the component `exec` of this setup's grant file.
fn command(setup: &Setup, options: &[&str], guest: Guest, args: &[&str]) -> Command {
    let mut command = Command::new(capspawn());
    command.args(["run", "--component", "exec"]);
    command.arg("--grants").arg(setup.grants());
    command.arg("--events").arg(setup.events_file());
    command.args(options).arg(guest.path).arg("--").args(args);
    command
}

fn run(setup: &Setup, options: &[&str], guest: Guest, args: &[&str]) -> Outcome {
    outcome(&mut command(setup, options, guest, args))
}

#[test]
fn a_component_of_each_version_runs_and_is_denied_alike() {
    let setup = Setup::new(&[("uname", &program("uname"), "args = [\"-s\"]")]);
    let asked = |guest, args| run(&setup, &[], guest, args);
    let p2 = asked(guests::RUN_ONCE, &["uname", "-s"]);
    assert_eq!(p2.stdout, "Linux\nuname: exit status: 0\n", "{p2:?}");
    let p3 = asked(guests::P3_RUN, &["uname", "-s"]);
    let expected = "Linux\nuname: ExitStatus::Exited(0)\n";
    assert_eq!((p3.code, p3.stdout.as_str()), (Some(0), expected), "{p3:?}");

    for guest in [guests::RUN_ONCE, guests::P3_RUN] {
        let denied = asked(guest, &["uname", "-a"]);
        assert!(denied.stdout.contains("did not run"), "{denied:?}");
        let operator = "exec [\"uname\", \"-a\"] denied (argument)";
        assert!(denied.stderr.contains(operator), "{denied:?}");
    }
}

#[test]
fn a_component_may_import_both_versions() {
    let setup = Setup::new(&[("sh", &program("sh"), SHELL)]);
    // The component expects that one child uses up the quota of both versions.
    let grants = std::fs::read_to_string(setup.grants()).expect("it was written");
    let one = grants.replacen("[component.exec]", "[component.exec]\nmax-live = 1", 1);
    std::fs::write(setup.grants(), one).expect("the folder is writable");
    let both = run(&setup, &[], guests::BOTH_VERSIONS, &[]);
    assert_eq!(
        (both.code, both.stdout.as_str()),
        (Some(0), "both versions\n"),
        "{both:?}"
    );
}

#[test]
fn the_ends_of_a_component_of_version_0_3_have_the_exit_codes_of_the_command() {
    let setup = Setup::new(&[("sh", &program("sh"), SHELL)]);
    let script = "echo ready; exec sleep 600";
    for (how, timeout, code, message) in [
        ("drop", "10min", 0, ""),
        ("forget", "10min", 0, ""),
        ("trap", "10min", 134, "the component trapped"),
        ("wait", "2s", 124, "did not end within --timeout"),
        ("spin", "2s", 124, "did not end within --timeout"),
    ] {
        let args = [how, script];
        let ended = run(
            &setup,
            &["--timeout", timeout],
            guests::P3_LEAVES_CHILD,
            &args,
        );
        assert_eq!(ended.code, Some(code), "{how}: {ended:?}");
        assert!(ended.stderr.contains(message), "{how}: {ended:?}");
        for event in setup
            .events()
            .iter()
            .filter(|event| event["event"] == "spawn")
        {
            let process = format!("/proc/{}", event["pid"]);
            assert!(
                !Path::new(&process).exists(),
                "{how}: the child outlived the command"
            );
        }
    }
}

#[test]
fn megabytes_pass_through_the_standard_streams_of_version_0_3_unchanged() {
    let setup = Setup::new(&[("cat", &program("cat"), "")]);
    let mut command = command(&setup, &[], guests::P3_PIPE_THROUGH, &["cat"]);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut running = command.spawn().expect("the command starts");
    let mut input = running.stdin.take().expect("it is piped");
    let sent: Vec<u8> = (0..8_u32 << 20).map(|at| (at % 251) as u8).collect();
    let copy = sent.clone();
    let feed = thread::spawn(move || input.write_all(&copy).expect("the component reads all"));
    let output = running.wait_with_output().expect("the command ends");
    feed.join().expect("all was written");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.stdout == sent, "a part is lost or changed");
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        "ExitStatus::Exited(0)\n"
    );
}

//! What a guest can make the operator see: files of events that cannot be written, readers that are gone, and strings
//! that would change the terminal.

use std::fs::{self, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::harness::{Outcome, Setup, outcome, script};
use crate::support::{capspawn, exec, program};

/// `O_NONBLOCK` of `open(2)` on Linux, in octal.
const NONBLOCK: i32 = 0o4000;

/// ESC, C1, DEL, bidirectional controls and a separator of lines.
const HOSTILE: &str = "\x1b[2Ja\u{9b}\u{7f}\u{202e}\u{2028}\u{2066}b";

fn echo() -> Setup {
    Setup::new(&[("echo", &program("echo"), "args = [\"*\"]")])
}

/// `capspawn run --events FILE ... exec.wasm -- ARGS`, which ends after a minute at the latest.
fn with_events(setup: &Setup, file: &Path, args: &[&str]) -> Outcome {
    let mut command = Command::new("timeout");
    command.arg("-k1").arg("60").arg(capspawn()).arg("run");
    command
        .arg("--grants")
        .arg(setup.grants())
        .arg("--events")
        .arg(file);
    outcome(command.arg(exec()).arg("--").args(args))
}

fn is_plain(text: &str) -> bool {
    text.bytes()
        .all(|byte| byte == b'\n' || (b' '..=b'~').contains(&byte))
}

#[test]
fn a_pipe_of_events_that_nobody_reads_stops_nothing_and_the_loss_is_reported() {
    let setup = echo();
    let folder = tempfile::tempdir().expect("/tmp is writable");
    let pipe = folder.path().join("pipe");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .expect("mkfifo starts")
            .success()
    );
    // A pipe without a reader takes what fits, and waits for nobody.
    let run = with_events(&setup, &pipe, &["echo", "x"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), "x\n"), "{run:?}");

    let mut options = OpenOptions::new();
    let mut both = options
        .read(true)
        .write(true)
        .custom_flags(NONBLOCK)
        .open(&pipe)
        .expect("it is there");
    while both.write(b"full\n").is_ok() {}
    let run = with_events(&setup, &pipe, &["echo", "x"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), "x\n"), "{run:?}");
    assert!(
        run.stderr
            .contains("2 events are missing in the file of --events"),
        "{run:?}"
    );

    // There is room again: the command reports its own events only.
    let mut text = Vec::new();
    let _ = both.read_to_end(&mut text);
    let run = with_events(&setup, &pipe, &["echo", "x"]);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{run:?}");
    let mut text = Vec::new();
    let _ = both.read_to_end(&mut text);
    let text = String::from_utf8(text).expect("events are text");
    let events: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let kinds: Vec<_> = events.iter().map(|event| event["event"].as_str()).collect();
    assert_eq!(kinds, [Some("spawn"), Some("exit")]);
}

#[test]
fn a_full_disk_loses_events_and_changes_no_exit_code() {
    let setup = echo();
    for (args, code) in [(["echo", "x"], 0), (["absent", "x"], 126)] {
        let run = with_events(&setup, Path::new("/dev/full"), &args);
        assert_eq!(run.code, Some(code), "{run:?}");
        assert!(run.stderr.contains("No space left on device"), "{run:?}");
        assert!(run.stderr.contains("events are missing"), "{run:?}");
    }
    // A limit on the size of files ends the write and not the host. wasmtime needs files of some MiB.
    let file = fs::File::create(setup.events_file()).expect("the folder is ours");
    file.set_len(64 << 20).expect("the file has no content");
    let mut limited = Command::new("sh");
    let script =
        "ulimit -f 65536; exec \"$0\" run --grants \"$1\" --events \"$2\" \"$3\" -- echo x";
    limited
        .args(["-c", script])
        .arg(capspawn())
        .arg(setup.grants());
    let run = outcome(limited.arg(setup.events_file()).arg(exec()));
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), "x\n"), "{run:?}");
    assert!(run.stderr.contains("File too large"), "{run:?}");
}

/// The exit code of the command with a standard error whose reader is gone.
fn code_without_reader(command: &mut Command) -> Option<i32> {
    let (reader, writer) = std::io::pipe().expect("a descriptor is free");
    drop(reader);
    let command = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(writer);
    command.status().expect("the command starts").code()
}

#[test]
fn a_reader_of_standard_error_that_is_gone_changes_no_exit_code() {
    let setup = script("exit 3", "");
    let grants = setup.grants();
    let grants = grants.to_str().expect("UTF-8");
    let exec = exec();
    for (args, code) in [
        (
            &[
                "run", "--grants", grants, exec, "--", "script", "-c", "exit 3",
            ][..],
            3,
        ),
        (&["run", "--grants", grants, exec, "--", "absent"], 126),
        (
            &[
                "run",
                "--events",
                "/dev/full",
                "--grants",
                grants,
                exec,
                "--",
                "absent",
            ],
            126,
        ),
        (&["run", "/absent.wasm"], 2),
        (&["run", "--absent"], 2),
        (&["check", grants], 0),
        (&["check", "/absent.toml"], 2),
        (&["explain", grants, "exec", "absent"], 3),
        (&["doctor", "--run-as", "x"], 2),
    ] {
        for log in ["off", "trace"] {
            let mut command = Command::new(capspawn());
            command.args(args).env("CAPSPAWN_LOG", log);
            assert_eq!(
                code_without_reader(&mut command),
                Some(code),
                "{args:?} {log}"
            );
            assert_eq!(
                outcome(command.stderr(Stdio::piped())).code,
                Some(code),
                "{args:?} {log}"
            );
        }
    }
}

#[test]
fn strings_of_a_guest_and_of_a_component_reach_no_terminal_as_they_are() {
    let setup = echo();
    let folder = tempfile::tempdir().expect("/tmp is writable");
    let hostile = folder.path().join(format!("{HOSTILE}.wasm"));
    fs::copy(exec(), &hostile).expect("the folder is ours");
    let broken = folder.path().join(format!("broken{HOSTILE}.wasm"));
    fs::write(&broken, "\0asm\x0d\0\x01\0\u{202e}\x1b[2J").expect("the folder is ours");

    let mut denied = Command::new(capspawn());
    denied
        .arg("run")
        .arg("--grants")
        .arg(setup.grants())
        .env("CAPSPAWN_LOG", "trace");
    denied.arg("--events").arg(setup.events_file());
    let run = outcome(denied.arg(&hostile).arg("--").args([HOSTILE, HOSTILE]));
    assert_eq!(run.code, Some(126), "{run:?}");
    let own: Vec<_> = run
        .stderr
        .lines()
        .filter(|line| line.contains("denied"))
        .collect();
    assert!(own.len() >= 2, "a note and a record of the log: {run:?}");
    assert!(
        own.iter()
            .all(|line| is_plain(line) || line.starts_with("exec:")),
        "{own:?}"
    );
    let events = fs::read_to_string(setup.events_file()).expect("there is an event");
    assert!(is_plain(&events), "{events}");
    let event: Value = serde_json::from_str(events.lines().next().expect("a line")).expect("JSON");
    assert_eq!(
        (&event["component"], &event["args"][0]),
        (&HOSTILE.into(), &HOSTILE.into())
    );

    for args in [
        vec!["run", broken.to_str().expect("UTF-8")],
        vec!["run", "--component", HOSTILE, "/absent\x1b[2J.wasm"],
        vec!["check", "/absent\u{202e}.toml"],
    ] {
        let run = outcome(Command::new(capspawn()).args(&args));
        assert_eq!(run.code, Some(2), "{run:?}");
        assert!(is_plain(&run.stderr), "{run:?}");
    }
    for json in [&["--json"][..], &[]] {
        let mut explain = Command::new(capspawn());
        explain.arg("explain").args(json).arg(setup.grants());
        let run = outcome(explain.args(["exec", "echo", "--", HOSTILE, HOSTILE]));
        assert_eq!(run.code, Some(3), "{run:?}");
        assert!(is_plain(&run.stdout), "{run:?}");
    }
}

#[test]
fn one_call_of_a_component_without_a_grant_adds_some_kilobytes() {
    let folder = tempfile::tempdir().expect("/tmp is writable");
    let events = folder.path().join("events");
    let long = "x".repeat(100_000);
    let mut command = Command::new(capspawn());
    command
        .arg("run")
        .arg("--events")
        .arg(&events)
        .arg(exec())
        .arg("--")
        .arg("tool");
    let run = outcome(command.args([long.as_str(); 9]));
    assert_eq!(run.code, Some(126), "{:?}", run.code);
    let text = fs::read_to_string(&events).expect("there is an event");
    assert!(text.len() < 4096, "{} bytes", text.len());
    let event: Value = serde_json::from_str(&text).expect("one line");
    assert_eq!(event["args_cut"]["bytes"], 900_000);
    let note = run
        .stderr
        .lines()
        .find(|line| line.starts_with("capspawn: "))
        .expect("a note");
    assert!(note.len() < 4096, "{} bytes", note.len());
}

#[test]
fn a_directory_in_which_the_component_could_replace_a_program_is_refused() {
    let folder = tempfile::tempdir().expect("/tmp is writable");
    let own = folder.path().join("bin");
    fs::create_dir(&own).expect("the folder is ours");
    fs::create_dir(folder.path().join("data")).expect("the folder is ours");
    let tool = own.join("tool");
    fs::copy(program("true"), &tool).expect("the folder is ours");
    let setup = Setup::new(&[("tool", &tool, "")]);
    let run = |dir: &Path, end: &str| {
        let dir = format!("{}::/dir{end}", dir.display());
        outcome(&mut setup.command_with(&["--dir", &dir], &["tool"]))
    };
    for dir in [own.as_path(), folder.path(), Path::new("/")] {
        let refused = run(dir, "");
        let complaint = refused.complaint();
        assert!(complaint.contains("bin/tool"), "{complaint}");
    }
    assert_eq!(run(&folder.path().join("data"), "").code, Some(0));
    assert_eq!(run(&own, ":ro").code, Some(0), "it may only read it");
}

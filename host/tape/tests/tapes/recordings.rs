//! What a tape has, and that a replay gives it back.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use capspawn_native::{Command, ExitStatus, FileMode, Guest, Stdin, Stdio};
use capspawn_tape::{Dirs, Order, Values};

use crate::support::{Folder, Outcome, outcome, replay, run, run_with, sh};

/// Scripts that end in every way, and write everything that can be written.
fn everything(guest: &Guest) -> Vec<Outcome> {
    vec![
        run(guest, "echo out; echo err >&2; exit 3"),
        run(guest, "printf '\\377\\000binary'; printf 'no end'"),
        run_with(guest, "sort", "b\na\n"),
        run(guest, "kill -TERM $$"),
        run(
            guest,
            "i=0; while [ $i -lt 3000 ]; do echo line $i; i=$((i+1)); done",
        ),
        run(guest, "(sleep 0.05; echo late) & echo early"),
    ]
}

#[test]
fn a_replay_is_what_was_recorded_byte_for_byte() {
    let folder = Folder::new();
    let recorded = folder.record(everything);
    assert_eq!(recorded[0].1.data, b"out\n");
    assert_eq!(recorded[3].0, Some(ExitStatus::Signaled(15)));
    let (replayed, replayer) = folder.replay(everything);
    for (replayed, recorded) in replayed.iter().zip(&recorded) {
        assert!(replayed == recorded, "{:?}", replayed.0);
    }
    replayer.finish().expect("nothing differs");
}

/// Also while other children run.
#[test]
fn two_recordings_of_one_run_are_the_same_file() {
    let record = || {
        let folder = Folder::new();
        folder.record(|guest| {
            let waits = guest.spawn(&sh("sleep 60")).expect("it starts");
            everything(guest);
            drop(waits);
        });
        folder.text()
    };
    let tape = record();
    assert_eq!(tape, record());
    assert!(!tape.contains("millis"), "durations were not requested");
}

#[test]
fn a_tape_is_read_in_a_review() {
    let folder = Folder::new();
    folder.record(|guest| run(guest, "echo out; echo err >&2; exit 3"));
    let text = folder.text();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 5, "{text}");
    assert_eq!(lines[0], r#"{"capspawn-tape":1,"values":"hashed"}"#);
    let start = r#"{"call":1,"event":"start","command":"sh","component":"test","program":"/bin/sh","argv":["/bin/sh","-c","echo out; echo err >&2; exit 3"],"cwd":"/","env":{"#;
    assert!(lines[1].starts_with(start), "{text}");
    assert_eq!(lines[2], r#"{"call":1,"event":"stdout","text":"out\n"}"#);
    assert_eq!(lines[3], r#"{"call":1,"event":"stderr","text":"err\n"}"#);
    assert!(
        lines[4].starts_with(r#"{"call":1,"event":"exit","code":3,"check":""#),
        "{text}"
    );
}

#[test]
fn durations_are_in_the_tape_unless_they_are_left_out() {
    let folder = Folder::new();
    folder.record_by(|recorder| recorder, |guest| run(guest, "exit 0"));
    assert!(
        folder.text().contains(r#""code":0,"millis":"#),
        "{}",
        folder.text()
    );
}

fn with_secrets(guest: &Guest) -> Outcome {
    let mut command = sh("read line; echo read");
    command
        .env
        .push(("SECRET".to_owned(), "of-the-environment".into()));
    command.stdin = Stdin::Bytes("of-the-input\n".into());
    outcome(&guest.spawn(&command).expect("it starts"))
}

#[test]
fn secrets_are_in_a_tape_only_on_request() {
    let folder = Folder::new();
    folder.record(with_secrets);
    let hidden = folder.text();
    assert!(hidden.contains(r#""SECRET":"sha256:"#), "{hidden}");
    assert!(!hidden.contains("of-the-"), "{hidden}");
    folder
        .replay(with_secrets)
        .1
        .finish()
        .expect("the same hashes");
    folder.record_by(|recorder| recorder.values(Values::Plain), with_secrets);
    let plain = folder.text();
    assert!(
        plain.contains(r#""SECRET":"of-the-environment""#),
        "{plain}"
    );
    assert!(plain.contains(r#""text":"of-the-input\n""#), "{plain}");
    folder
        .replay(with_secrets)
        .1
        .finish()
        .expect("the same values");
}

#[test]
fn a_directory_has_a_name_in_the_tape_and_may_be_another_one_in_the_replay() {
    let list = |dir: &Path| {
        let dir = dir.to_owned();
        move |guest: &Guest| {
            let script = format!("echo {}/file; pwd", dir.display());
            let mut command = sh(&script);
            command.cwd = Some(dir.to_str().expect("UTF-8").to_owned());
            let child = guest.spawn(&command).expect("it starts");
            String::from_utf8(outcome(&child).1.data).expect("text")
        }
    };
    let [here, there] = [(); 2].map(|()| tempfile::tempdir().expect("/tmp is writable"));
    // Children of a root host run as another user.
    for dir in [&here, &there] {
        fs::set_permissions(dir, Permissions::from_mode(0o755)).expect("it is ours");
    }
    let named = |dir: &Path| {
        let mut dirs = Dirs::default();
        dirs.add("WORKSPACE", dir).expect("a directory");
        dirs
    };
    let folder = Folder::new();
    let dirs = named(here.path());
    folder.record_by(|recorder| recorder.dirs(dirs), list(here.path()));
    let tape = folder.text();
    assert!(
        !tape.contains(here.path().to_str().expect("UTF-8")),
        "{tape}"
    );
    assert!(tape.contains(r#""text":"$WORKSPACE/file\n""#), "{tape}");
    let dirs = named(there.path());
    let (printed, replayer) = replay(&tape, |it| it.dirs(dirs), list(there.path()));
    let there = there.path().display();
    assert_eq!(printed, format!("{there}/file\n{there}\n"));
    replayer
        .finish()
        .expect("only the directory is another one");
}

/// A file that is no program: the grant loads, and the execution fails. Not in `/tmp`, a write root.
#[test]
fn a_launch_that_failed_fails_again() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("it is writable");
    fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).expect("it is ours");
    let program = dir.path().join("no-program");
    fs::write(&program, "\u{7f}ELF and nothing else").expect("it is ours");
    fs::set_permissions(&program, Permissions::from_mode(0o755)).expect("it is ours");
    let more = format!("[[component.test.command]]\nname = \"broken\"\nprogram = {program:?}\n");
    let spawn = |guest: &Guest| {
        let error = guest
            .spawn(&Command::new("broken"))
            .expect_err("it is no program");
        format!("{error:?}")
    };
    let folder = Folder::new();
    let recorded = folder.record_with(&more, spawn);
    assert!(
        folder
            .text()
            .contains(r#""event":"failed","stage":"Exec","errno":8"#),
        "{}",
        folder.text()
    );
    let (replayed, replayer) = folder.replay_with(&more, spawn);
    assert_eq!(replayed, recorded);
    replayer.finish().expect("nothing differs");
}

#[test]
fn a_file_for_standard_output_is_written_again() {
    let dir = tempfile::tempdir().expect("/tmp is writable");
    fs::set_permissions(dir.path(), Permissions::from_mode(0o777)).expect("it is ours");
    let file = dir.path().join("out.txt");
    let write = |guest: &Guest| {
        let mut command = sh("echo written");
        command.stdout = Stdio::File {
            path: file.to_str().expect("UTF-8").to_owned(),
            mode: FileMode::Truncate,
        };
        outcome(&guest.spawn(&command).expect("it starts")).0
    };
    let folder = Folder::new();
    folder.record(write);
    fs::remove_file(&file).expect("the child has made it");
    folder.replay(write).1.finish().expect("nothing differs");
    assert_eq!(
        fs::read_to_string(&file).expect("it is there again"),
        "written\n"
    );
}

#[test]
fn children_that_another_order_starts_are_found_in_any_order() {
    let folder = Folder::new();
    let scripts = ["echo a", "echo b", "echo a"];
    folder.record(|guest| scripts.map(|script| run(guest, script)));
    let other_order =
        |guest: &Guest| ["echo b", "echo a", "echo a"].map(|it| run(guest, it).1.data);
    let (outputs, replayer) = replay(&folder.text(), |it| it.order(Order::Any), other_order);
    assert_eq!(outputs, [b"b\n", b"a\n", b"a\n"]);
    replayer.finish().expect("each was found");
}

#[test]
fn no_process_is_started() {
    let folder = Folder::new();
    let marker = folder.tape().with_file_name("marker");
    let script = format!("touch {} 2>/dev/null; echo ran", marker.display());
    fs::set_permissions(
        folder.tape().parent().expect("a folder"),
        Permissions::from_mode(0o777),
    )
    .expect("it is ours");
    folder.record(|guest| run(guest, &script));
    fs::remove_file(&marker).expect("the recorded child has made it");
    let (output, replayer) = folder.replay(|guest| run(guest, &script));
    replayer.finish().expect("nothing differs");
    assert_eq!(output.1.data, b"ran\n");
    assert!(!marker.exists(), "a process ran");
}

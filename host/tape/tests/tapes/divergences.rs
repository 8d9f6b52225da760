//! A run that does something else than its tape, and a tape that was changed.

use capspawn_native::{Guest, SpawnError};
use capspawn_tape::{Divergence, Tape, TapeError};

use crate::support::{Folder, replay, run, sh, unchecked};

const SCRIPTS: [&str; 3] = ["echo one", "echo two", "exit 3"];

fn recorded() -> String {
    let folder = Folder::new();
    folder.record(|guest| SCRIPTS.map(|script| run(guest, script)));
    folder.text()
}

fn spawn_all<const N: usize>(scripts: [&str; N]) -> impl Fn(&Guest) -> [Result<(), SpawnError>; N] {
    move |guest| {
        scripts.map(|script| {
            let child = guest.spawn(&sh(script))?;
            child.wait_blocking(None);
            Ok(())
        })
    }
}

/// The message of the first divergence of a run of these scripts.
fn message<const N: usize>(tape: &str, scripts: [&str; N]) -> String {
    let (_, replayer) = replay(tape, |it| it, spawn_all(scripts));
    replayer.finish().expect_err("the run differs").to_string()
}

#[test]
fn another_argument_is_a_diff_of_the_argument() {
    let expected = "call 2, \"sh\" [\"/bin/sh\", \"-c\", \"echo tvo\"]: the tape (line 5) has another argv[2]\n  \
                    - \"echo two\"\n  + \"echo tvo\"";
    assert_eq!(
        message(&recorded(), ["echo one", "echo tvo", "exit 3"]),
        expected
    );
}

#[test]
fn the_launch_that_differs_fails_and_the_next_one_goes_on() {
    let tape = recorded();
    let (results, replayer) = replay(
        &tape,
        |it| it,
        spawn_all(["echo one", "echo tvo", "exit 3"]),
    );
    let [Ok(()), Err(SpawnError::Launch(error)), Ok(())] = results else {
        panic!("{results:?}")
    };
    assert!(
        error.source.to_string().contains("another argv[2]"),
        "{error}"
    );
    assert_eq!(replayer.divergences().len(), 1);
}

#[test]
fn a_request_more_names_itself() {
    let text = message(&recorded(), ["echo one", "echo two", "exit 3", "echo four"]);
    let expected = "call 4, \"sh\" [\"/bin/sh\", \"-c\", \"echo four\"]: the tape has no call that is left, it ends with call 3";
    assert_eq!(text, expected);
}

#[test]
fn a_request_less_names_the_call_that_was_not_made() {
    let (_, replayer) = replay(&recorded(), |it| it, spawn_all(["echo one", "echo two"]));
    let divergence = replayer.finish().expect_err("the third was not requested");
    assert!(
        matches!(divergence, Divergence::NotMade { call: 3, .. }),
        "{divergence}"
    );
}

#[test]
fn a_stream_that_was_cut_is_reported_when_it_is_replayed() {
    let folder = Folder::new();
    folder.record_by(
        |it| it.max_stream_bytes(4),
        |guest| run(guest, "echo 123456789"),
    );
    let text = message(&folder.text(), ["echo 123456789"]);
    let part = "the tape has 4 of the 10 bytes of stdout (sha256 ";
    assert!(
        text.contains(part) && text.ends_with("record with a larger bound"),
        "{text}"
    );
}

/// The call of which a check fails.
#[track_caller]
fn changed(tape: &str) -> usize {
    match Tape::parse(tape).expect_err("a line was changed") {
        TapeError::Changed { call, .. } => call,
        error => panic!("{error}"),
    }
}

#[test]
fn a_change_of_one_byte_is_reported_at_its_call() {
    let tape = recorded();
    Tape::parse(&tape).expect("it is unchanged");
    assert_eq!(changed(&tape.replace("\"echo two\"", "\"echo tvo\"")), 2);
    assert_eq!(changed(&tape.replace("\"code\":3", "\"code\":4")), 3);
    assert_eq!(changed(&tape.replace("\"one\\n\"", "\"One\\n\"")), 1);
    let order = tape.replacen("\"code\":0,", "\"code\":0,\"order\":2,", 1);
    assert_eq!(changed(&order), 1);
}

#[test]
fn calls_in_another_order_are_reported_at_the_first() {
    let tape = recorded();
    let mut lines: Vec<_> = tape.lines().collect();
    let (second, third) = (4..7, 7..9);
    let moved: Vec<_> = lines[third].iter().chain(&lines[second]).copied().collect();
    lines.splice(4..9, moved);
    let error = Tape::parse(&lines.join("\n")).expect_err("calls changed places");
    assert_eq!(error.to_string(), "line 5: call 3: expected call 2");
}

/// Whoever removes the check has changed the tape on purpose, and the run is compared with that.
#[test]
fn a_tape_that_was_changed_on_purpose_is_compared_with_the_run() {
    let tape = unchecked(&recorded());
    let other = tape.replace("\"echo two\"", "\"echo tvo\"");
    assert!(message(&other, SCRIPTS).starts_with("call 2, "));
    let other = tape.replacen("\"code\":0", "\"code\":0,\"order\":2", 1);
    let error = Tape::parse(&other).expect_err("two have the second place");
    assert_eq!(
        error.to_string(),
        "line 5: call 2 has order 2, as call 1 has"
    );
    let other = tape.replace("\"code\":3", "\"code\":4");
    let (status, replayer) = replay(&other, |it| it, |guest| SCRIPTS.map(|it| run(guest, it).0));
    assert_eq!(status[2], Some(capspawn_native::ExitStatus::Exited(4)));
    replayer
        .finish()
        .expect("the guest does the same with another status");
}

#[test]
fn what_is_no_tape_is_refused_with_its_line() {
    let tape = recorded();
    let cases = [
        ("", "line 1: "),
        ("{}", "line 1: not the first line of a tape"),
        (
            r#"{"capspawn-tape":9,"values":"hashed"}"#,
            "line 1: a tape of version 9",
        ),
        (&tape[..tape.len() - 10], "line 9: "),
        (
            &tape.lines().take(3).collect::<Vec<_>>().join("\n"),
            "line 3: the file ends within call 1",
        ),
    ];
    for (text, expected) in cases {
        let error = Tape::parse(text).expect_err("no tape").to_string();
        assert!(error.starts_with(expected), "{error}");
    }
}

//! Children to which a guest talks, and which it kills.

use capspawn_native::{
    Child, ExitStatus, Guest, KillReason, PipeReader, PipeWriter, Signal, Stdin, Stdio,
};

use crate::support::{Folder, replay, sh, unchecked};

/// A child, and both ends of its dialogue.
fn talk_to(guest: &Guest, script: &str) -> (Child, PipeWriter, PipeReader) {
    let mut command = sh(script);
    command.stdin = Stdin::Piped;
    command.stdout = Stdio::Piped;
    command.stderr = Stdio::Merged;
    let child = guest.spawn(&command).expect("it starts");
    let stdin = child.take_stdin().expect("a pipe").expect("piped");
    let stdout = child.take_stdout().expect("a pipe").expect("piped");
    (child, stdin, stdout)
}

fn send(stdin: &PipeWriter, line: &str) {
    assert_eq!(
        stdin.try_write(line.as_bytes()).expect("it has room"),
        line.len()
    );
}

/// Reads until a prompt.
fn answer(stdout: &PipeReader) -> String {
    let mut text = String::new();
    while !text.ends_with("> ") {
        match stdout.try_read_vec(4096) {
            Ok(bytes) if bytes.is_empty() => panic!("the end after {text:?}"),
            Ok(bytes) => text += std::str::from_utf8(&bytes).expect("text"),
            Err(_) => std::thread::yield_now(),
        }
    }
    text
}

const ECHO: &str = "printf '> '; while read line; do echo \"got $line\"; printf '> '; done; exit 5";

fn dialogue(lines: &[&str]) -> impl Fn(&Guest) -> (Vec<String>, Option<ExitStatus>) {
    move |guest: &Guest| {
        let (child, stdin, stdout) = talk_to(guest, ECHO);
        let mut answers = vec![answer(&stdout)];
        for line in lines {
            send(&stdin, line);
            answers.push(answer(&stdout));
        }
        drop(stdin);
        (answers, child.wait_blocking(None))
    }
}

#[test]
fn a_dialogue_is_replayed_turn_by_turn() {
    let folder = Folder::new();
    let recorded = folder.record(dialogue(&["one\n", "two\n"]));
    assert_eq!(recorded.0, ["> ", "got one\n> ", "got two\n> "]);
    assert_eq!(recorded.1, Some(ExitStatus::Exited(5)));
    let (replayed, replayer) = folder.replay(dialogue(&["one\n", "two\n"]));
    assert_eq!(replayed, recorded);
    replayer.finish().expect("nothing differs");
}

#[test]
fn an_answer_is_not_released_before_its_question() {
    let folder = Folder::new();
    folder.record(dialogue(&["one\n"]));
    folder.replay(|guest| {
        let (child, stdin, stdout) = talk_to(guest, ECHO);
        assert_eq!(answer(&stdout), "> ");
        let early = stdout
            .try_read_vec(4096)
            .expect_err("the question was not asked");
        assert_eq!(early.kind(), std::io::ErrorKind::WouldBlock);
        send(&stdin, "one\n");
        assert_eq!(answer(&stdout), "got one\n> ");
        drop(stdin);
        assert_eq!(child.wait_blocking(None), Some(ExitStatus::Exited(5)));
    });
}

#[test]
fn another_question_is_reported_at_its_call() {
    let folder = Folder::new();
    folder.record(dialogue(&["one\n"]));
    let (status, replayer) = folder.replay(|guest| {
        let (child, stdin, stdout) = talk_to(guest, ECHO);
        answer(&stdout);
        send(&stdin, "eno\n");
        child.wait_blocking(None)
    });
    assert_eq!(status, Some(ExitStatus::Killed(KillReason::Host)));
    let text = replayer.finish().expect_err("another question").to_string();
    assert!(
        text.starts_with("call 1 of the tape (line 2), \"sh\""),
        "{text}"
    );
    assert!(
        text.contains("another stdin\n  - 4 bytes, sha256 "),
        "{text}"
    );
    assert!(text.contains("\n  + 4 bytes, sha256 "), "{text}");
}

fn killed(guest: &Guest) -> Option<ExitStatus> {
    let (child, _stdin, _stdout) = talk_to(
        guest,
        "trap 'exit 9' TERM; printf '> '; while :; do sleep 0.01; done",
    );
    answer(&_stdout);
    child.signal(Signal::Terminate);
    child.wait_blocking(None)
}

#[test]
fn a_child_waits_for_the_signal_that_ended_it() {
    let folder = Folder::new();
    assert_eq!(folder.record(killed), Some(ExitStatus::Exited(9)));
    let (status, replayer) = folder.replay(killed);
    assert_eq!(status, Some(ExitStatus::Exited(9)));
    replayer.finish().expect("nothing differs");
    let other = unchecked(&folder.text()).replace(r#""number":15"#, r#""number":1"#);
    let (_, replayer) = replay(&other, |it| it, killed);
    let text = replayer.finish().expect_err("another signal").to_string();
    assert!(
        text.ends_with("another signal\n  - signal 1\n  + signal 15"),
        "{text}"
    );
}

/// The first to end is the first to end again, although nothing takes time.
#[test]
fn children_end_in_the_recorded_order() {
    let race = |guest: &Guest| {
        let slow = guest.spawn(&sh("sleep 0.3; echo slow")).expect("it starts");
        let fast = guest.spawn(&sh("echo fast")).expect("it starts");
        let status = fast.wait_blocking(None);
        (slow.poll(), status, slow.wait_blocking(None))
    };
    let folder = Folder::new();
    let recorded = folder.record(race);
    assert_eq!(recorded.0, None, "the slow one runs");
    assert!(folder.text().contains(r#""order":2"#), "{}", folder.text());
    let (replayed, replayer) = folder.replay(race);
    assert_eq!((replayed.1, replayed.2), (recorded.1, recorded.2));
    replayer.finish().expect("nothing differs");
}

#[test]
fn one_child_writes_to_another_and_both_are_replayed() {
    let pipeline = |guest: &Guest| {
        let mut command = sh("echo b; echo a");
        command.stdout = Stdio::Piped;
        let first = guest.spawn(&command).expect("it starts");
        let mut command = sh("sort");
        command.stdin = Stdin::Child(first.pass_stdout().expect("a pipe").expect("piped"));
        let second = guest.spawn(&command).expect("it starts");
        (
            first.wait_blocking(None),
            second.wait_blocking(None),
            second.captured(0, 0).0.data,
        )
    };
    let folder = Folder::new();
    let recorded = folder.record(pipeline);
    assert_eq!(recorded.2, b"a\nb\n");
    let (replayed, replayer) = folder.replay(pipeline);
    assert_eq!(replayed, recorded);
    replayer.finish().expect("nothing differs");
}

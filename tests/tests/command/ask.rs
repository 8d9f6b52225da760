//! `--ask`: the question on the terminal, and the effect of each answer.

use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};

use crate::harness::{Setup, outcome};
use crate::support::{capspawn, program};

const ASK: &str = "args = [\"*\"]\ndecision = \"ask\"";

fn setup() -> Setup {
    Setup::new(&[("echo", &program("echo"), ASK)])
}

/// The words of `capspawn run --ask ... exec.wasm -- ARGS`.
fn words(setup: &Setup, args: &[&str]) -> Vec<String> {
    let command = setup.command(args);
    let args = command.get_args().map(|it| it.to_str().expect("UTF-8"));
    let mut words: Vec<_> = args.map(str::to_owned).collect();
    assert_eq!(words[0], "run");
    words.insert(1, "--ask".to_owned());
    words.insert(0, capspawn().to_str().expect("UTF-8").to_owned());
    words
}

/// The exit code and the screen of a run on a pseudo terminal.
#[derive(Debug)]
struct Session {
    code: Option<i32>,
    /// All text on the screen, whichever program wrote it.
    screen: String,
}

/// Runs the command on a pseudo terminal. `ahead` is typed before it starts, and
/// `answer` when the question is on the screen.
fn session(setup: &Setup, args: &[&str], ahead: &str, answer: &str) -> Session {
    let quoted: Vec<_> = words(setup, args)
        .iter()
        .map(|word| format!("'{word}'"))
        .collect();
    // The shell reads one line, and leaves the rest of the input to the command.
    let line = format!("read go && exec {}", quoted.join(" "));
    let mut script = Command::new(program("script"))
        .args(["-q", "-e", "-c", &line, "/dev/null"])
        .env("SHELL", "/bin/sh")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("script starts");
    let mut keyboard = script.stdin.take().expect("it is a pipe");
    let mut shown = script.stdout.take().expect("it is a pipe");
    let typed = format!("go\n{ahead}");
    keyboard
        .write_all(typed.as_bytes())
        .expect("the terminal is open");

    let mut screen = Vec::new();
    let mut answered = false;
    let mut part = [0; 4096];
    loop {
        let count = shown.read(&mut part).expect("the terminal is readable");
        if count == 0 {
            break;
        }
        screen.extend_from_slice(&part[..count]);
        if !answered && String::from_utf8_lossy(&screen).contains("[y/a/N] ") {
            answered = true;
            keyboard
                .write_all(answer.as_bytes())
                .expect("the terminal is open");
        }
    }
    let code = script
        .wait()
        .expect("script is a child of this test")
        .code();
    let screen = String::from_utf8(screen).expect("UTF-8");
    assert!(answered, "there was no question: {screen}");
    Session { code, screen }
}

#[test]
fn yes_and_always_start_the_program() {
    for answer in ["y\n", "a\n"] {
        let setup = setup();
        let session = session(&setup, &["echo", "hello"], "", answer);
        assert_eq!(session.code, Some(0), "{session:?}");
        for line in [
            "\"exec\" requests a program",
            "argv[1]    \"hello\"",
            "sandbox    none",
            "\nhello\r\n",
        ] {
            assert!(session.screen.contains(line), "no {line:?}: {session:?}");
        }
        let events = setup.events();
        assert_eq!(events[0]["event"], "approved");
        let scope = if answer == "y\n" { "once" } else { "guest" };
        assert_eq!(events[0]["scope"], scope);
        assert_eq!(events[1]["event"], "spawn");
    }
}

#[test]
fn any_other_answer_denies_the_request() {
    for answer in ["\n", "n\n", "yes\n", "Y\n", "\x04"] {
        let setup = setup();
        let session = session(&setup, &["echo", "hello"], "", answer);
        assert_eq!(session.code, Some(126), "{answer:?}: {session:?}");
        let events = setup.events();
        assert_eq!(events.len(), 1, "{events:?}");
        assert_eq!(events[0]["event"], "denied");
    }
}

#[test]
fn text_that_was_typed_before_the_question_is_not_an_answer() {
    let setup = setup();
    let session = session(&setup, &["echo", "hello"], "y\ny\n", "\n");
    assert_eq!(session.code, Some(126), "{session:?}");
}

#[test]
fn an_interrupt_at_the_question_ends_the_run() {
    let setup = setup();
    let session = session(&setup, &["echo", "hello"], "", "\x03");
    assert_eq!(session.code, Some(130), "{session:?}");
    assert!(!session.screen.contains("\nhello"), "{session:?}");
}

#[test]
fn control_characters_of_an_argument_are_escaped_on_the_terminal() {
    let setup = setup();
    let hostile = "\x1b[31mred\u{202e}\rargv[1] x";
    let session = session(&setup, &["echo", hostile], "", "\n");
    assert_eq!(session.code, Some(126), "{session:?}");
    let escaped = "argv[1]    \"\\u{1b}[31mred\\u{202e}\\rargv[1] x\"";
    assert!(session.screen.contains(escaped), "{session:?}");
    for raw in ["\x1b[31m", "\u{202e}"] {
        assert!(!session.screen.contains(raw), "{session:?}");
    }
}

#[test]
fn without_a_terminal_the_request_is_denied_with_a_message() {
    let setup = setup();
    // The tests themselves may run on a terminal.
    let outcome = outcome(
        Command::new(program("setsid"))
            .arg("--wait")
            .args(words(&setup, &["echo", "hello"])),
    );
    assert_eq!(outcome.code, Some(126), "{outcome:?}");
    assert!(
        outcome.stderr.contains("there is no terminal to ask on"),
        "{outcome:?}"
    );
    let events = setup.events();
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!(events[0]["event"], "denied");
    let reason = events[0]["reason"]
        .as_str()
        .expect("the event has a reason");
    assert!(reason.contains("there is no terminal"), "{reason}");
}

#[test]
fn without_the_option_the_request_is_denied() {
    let setup = setup();
    let outcome = setup.exec(&["echo", "hello"]);
    assert_eq!(outcome.code, Some(126), "{outcome:?}");
    assert!(outcome.stderr.contains("needs approval"), "{outcome:?}");
}

//! `--ask`: the person at the terminal decides what a grant says `ask` of.

use std::fmt::{self, Debug, Write as _};
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use capspawn::{Answer, Approver, Question};
use capspawn_native::sandbox::Sandbox;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::termios::{QueueSelector, tcflush};
use tokio::sync::oneshot;

/// How often an open question looks whether it is still asked.
const TICK: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 100_000_000,
};

/// Longer than any answer that allows.
const MAX_LINE: usize = 1024;

/// A soft reset: the component writes to the same terminal, and could have left
/// it with invisible text or another character set.
const RESET: &str = "\x1b[!p\x1b[m\r";

/// Asks on the terminal that controls the process, wherever its streams go.
#[derive(Debug, Default)]
pub(crate) struct Terminal {
    /// Held while a question is on the terminal. An abandoned one leaves it
    /// within a tick, and until then the next must not share its input.
    busy: Arc<Mutex<()>>,
}

impl Approver for Terminal {
    fn ask<'a>(
        &'a self,
        question: &'a Question,
    ) -> Pin<Box<dyn Future<Output = Answer> + Send + 'a>> {
        Box::pin(async move {
            let busy = Arc::clone(&self.busy);
            let text = text(question);
            // Dropping the receiver, with this future, is what abandons.
            let (sender, receiver) = oneshot::channel();
            tokio::task::spawn_blocking(move || {
                let _busy = busy.lock().unwrap_or_else(PoisonError::into_inner);
                let answer = prompt(&text, &|| sender.is_closed());
                // An error means that nobody waits.
                let _ = sender.send(answer);
            });
            receiver.await.unwrap_or_else(|_| deny("the prompt failed"))
        })
    }
}

fn deny(reason: impl Into<String>) -> Answer {
    Answer::Deny {
        reason: reason.into(),
    }
}

/// Shows `text` and reads the answer to it.
fn prompt(text: &str, abandoned: &dyn Fn() -> bool) -> Answer {
    let terminal = OpenOptions::new().read(true).write(true).open("/dev/tty");
    match terminal {
        Ok(mut terminal) => read(&mut terminal, text, abandoned)
            .unwrap_or_else(|error| deny(format!("the terminal failed: {error}"))),
        Err(error) => deny(format!("there is no terminal to ask on: {error}")),
    }
}

fn read(terminal: &mut File, text: &str, abandoned: &dyn Fn() -> bool) -> io::Result<Answer> {
    // What was typed before the question was shown is no answer to it.
    tcflush(&*terminal, QueueSelector::IFlush)?;
    terminal.write_all(text.as_bytes())?;
    let mut line = Vec::new();
    loop {
        if abandoned() {
            terminal.write_all(b"\ncapspawn: no longer asked\n")?;
            return Ok(deny("nobody waits for the answer"));
        }
        let mut ready = [PollFd::new(&*terminal, PollFlags::IN)];
        match poll(&mut ready, Some(&TICK)) {
            Ok(0) | Err(Errno::INTR) => continue,
            Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
        let mut part = [0; 256];
        let count = terminal.read(&mut part)?;
        line.extend_from_slice(&part[..count]);
        if count == 0 || line.ends_with(b"\n") || line.len() > MAX_LINE {
            return Ok(answer(&line));
        }
    }
}

/// Returns what a line stands for: of all lines, two allow.
fn answer(line: &[u8]) -> Answer {
    match line {
        b"y\n" => Answer::AllowOnce,
        b"a\n" => Answer::AllowForThisGuest,
        _ => deny("the answer on the terminal was no"),
    }
}

/// Returns what is shown. The strings are the guest's, and are quoted.
fn text(question: &Question) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = describe(question, &mut text);
    text
}

fn describe(question: &Question, text: &mut String) -> fmt::Result {
    let confinement = &question.confinement;
    let component = quoted(&question.component);
    writeln!(text, "{RESET}capspawn: {component} asks for a program")?;
    writeln!(text, "  command    {}", quoted(&question.command))?;
    writeln!(text, "  program    {}", quoted(&question.program))?;
    for (index, argument) in question.argv.iter().enumerate() {
        let name = format!("argv[{index}]");
        writeln!(text, "  {name:<10} {}", quoted(argument))?;
    }
    writeln!(text, "  directory  {}", quoted(&question.cwd))?;
    writeln!(text, "  variables  {}", list(&question.env_names))?;
    writeln!(text, "  input      {} bytes", question.stdin_bytes)?;
    let sandbox = crate::check::sandbox(confinement.sandbox);
    if confinement.sandbox == Sandbox::None {
        writeln!(text, "  sandbox    {sandbox}: all your files, your network")?;
    } else {
        let network = crate::check::network(confinement.network);
        writeln!(text, "  sandbox    {sandbox}")?;
        writeln!(text, "  network    {network}")?;
        writeln!(text, "  reads      {}", list(&confinement.fs.read))?;
        writeln!(text, "  writes     {}", list(&confinement.fs.write))?;
        writeln!(text, "  never      {}", list(&confinement.fs.deny))?;
    }
    // A long list may have scrolled the beginning away.
    let arguments = question.argv.len().saturating_sub(1);
    write!(
        text,
        "Start {} with {arguments} arguments? \
         y: once, a: whenever this guest asks for the same, N: no [y/a/N] ",
        quoted(&question.program)
    )
}

fn list<T: Debug>(items: &[T]) -> String {
    if items.is_empty() {
        return "none".to_owned();
    }
    items.iter().map(quoted).collect::<Vec<_>>().join(" ")
}

/// Returns a string or path in quotes, with what would move the cursor, break
/// the line or change its direction escaped.
pub(crate) fn quoted(text: impl Debug) -> String {
    // Debug escapes what Unicode counts as control, format or separator.
    format!("{text:?}")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use capspawn_native::sandbox::{Confinement, FsRules, Network};

    use super::*;

    /// Control characters, line separators, bidirectional controls, a space that
    /// is none, a combining mark that would join the quote.
    const HOSTILE: &str = "a\x1b[2J\r\n\t\u{7f}\u{9b}\u{2028}\u{2029}\u{61c}\u{200b}\u{200e}\
        \u{200f}\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2066}\u{2067}\u{2068}\u{2069}\u{a0}\
        \u{feff}\u{e0041}\"\\";

    fn question() -> Question {
        Question {
            component: "exec".into(),
            tenant: "".into(),
            command: "git".into(),
            program: "/usr/bin/git".into(),
            argv: vec!["git".into(), "push".into()],
            cwd: "/srv".into(),
            env_names: vec!["GIT_AUTHOR_DATE".into()],
            stdin_bytes: 3,
            confinement: Arc::new(Confinement {
                sandbox: Sandbox::Required,
                network: Network::Loopback,
                fs: FsRules {
                    read: vec!["/usr".into()],
                    write: vec!["/srv".into(), "/var/a b".into()],
                    deny: Vec::new(),
                },
            }),
        }
    }

    #[test]
    fn what_would_change_the_terminal_is_escaped() {
        let plain = |text: &str| text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        for text in [quoted(HOSTILE), quoted(Path::new(HOSTILE))] {
            assert!(plain(&text), "{text}");
            assert!(text.starts_with("\"a\\u{1b}[2J\\r\\n\\t"), "{text}");
            assert!(text.contains("\\u{202e}"), "{text}");
            assert!(text.ends_with("\\\"\\\\\""), "{text}");
        }
        assert_eq!(quoted("Grüße, 世界"), "\"Grüße, 世界\"");
    }

    #[test]
    fn everything_that_is_the_guests_is_quoted() {
        let hostile = Question {
            component: HOSTILE.into(),
            command: HOSTILE.into(),
            program: HOSTILE.into(),
            argv: vec![HOSTILE.into(); 3],
            cwd: HOSTILE.into(),
            env_names: vec![HOSTILE.into()],
            confinement: Arc::new(Confinement {
                fs: FsRules {
                    read: vec![HOSTILE.into()],
                    write: vec![HOSTILE.into()],
                    deny: vec![HOSTILE.into()],
                },
                ..Confinement::default()
            }),
            ..question()
        };
        let text = text(&hostile);
        let text = text.strip_prefix(RESET).expect("the reset first");
        let stray = text.chars().find(|it| it.is_control() && *it != '\n');
        assert_eq!(stray, None, "{text}");
        assert!(text.is_ascii(), "{text}");
        // A line for each item, three for the arguments, and the question.
        assert_eq!(text.lines().count(), 15, "{text}");
    }

    #[test]
    fn the_question_shows_the_request_and_its_confinement() {
        let shown = text(&question());
        for line in [
            "capspawn: \"exec\" asks for a program\n",
            "  program    \"/usr/bin/git\"\n  argv[0]    \"git\"\n  argv[1]    \"push\"\n",
            "  directory  \"/srv\"\n  variables  \"GIT_AUTHOR_DATE\"\n  input      3 bytes\n",
            "  sandbox    required\n  network    loopback\n  reads      \"/usr\"\n",
            "  writes     \"/srv\" \"/var/a b\"\n  never      none\n",
            "Start \"/usr/bin/git\" with 1 arguments?",
        ] {
            assert!(shown.contains(line), "no {line:?} in {shown}");
        }
        assert!(shown.ends_with("[y/a/N] "), "{shown}");

        let mut unconfined = question();
        Arc::make_mut(&mut unconfined.confinement).sandbox = Sandbox::None;
        let shown = text(&unconfined);
        assert!(shown.contains("none: all your files"), "{shown}");
        assert!(!shown.contains("loopback"), "{shown}");
    }

    #[test]
    fn two_lines_allow() {
        assert_eq!(answer(b"y\n"), Answer::AllowOnce);
        assert_eq!(answer(b"a\n"), Answer::AllowForThisGuest);
        for line in ["", "y", "\n", "N\n", "n\n", "yes\n", "\x1b[0ny\n", "y\ny\n"] {
            let answer = answer(line.as_bytes());
            assert!(matches!(answer, Answer::Deny { .. }), "{line:?}");
        }
    }
}

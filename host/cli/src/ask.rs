//! `--ask`: the operator decides at the terminal on commands with `decision = "ask"`.

use std::ffi::OsStr;
use std::fmt::{self, Write as _};
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use capspawn::{Answer, Approver, FileAccess, FileMode, Question, RedirectionTarget};
use capspawn_native::sandbox::Sandbox;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::termios::{QueueSelector, tcflush};
use tokio::sync::oneshot;

use crate::confinement;
use crate::output::quoted;

/// How the reason of a denial begins if there is no terminal.
pub(crate) const NO_TERMINAL: &str = "there is no terminal to ask on";

/// How often an open question checks whether it was withdrawn: 100 ms.
const TICK: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 100_000_000,
};

/// The longest line that is read: longer than each of the answers that allow.
const MAX_LINE_BYTES: usize = 1024;

/// A soft reset (DECSTR), no attributes, and column one. The component writes to the
/// same terminal, and could have left invisible text or another character set on.
const RESET: &str = "\x1b[!p\x1b[m\r";

/// The controlling terminal of the process, whatever its standard streams are.
#[derive(Debug, Default)]
pub(crate) struct Terminal {
    /// Held while a question is on the terminal. A withdrawn question releases the
    /// terminal within a tick; until then the next one must not read its input.
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
            // Dropping this future drops the receiver, and so withdraws the question.
            let (sender, receiver) = oneshot::channel();
            tokio::task::spawn_blocking(move || {
                let _busy = busy.lock().unwrap_or_else(PoisonError::into_inner);
                let answer = prompt(&text, &|| sender.is_closed());
                // An error means that the question was withdrawn.
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
fn prompt(text: &str, is_withdrawn: &dyn Fn() -> bool) -> Answer {
    let terminal = OpenOptions::new().read(true).write(true).open("/dev/tty");
    match terminal {
        Ok(mut terminal) => read(&mut terminal, text, is_withdrawn)
            .unwrap_or_else(|error| deny(format!("the terminal failed: {error}"))),
        Err(error) => deny(format!("{NO_TERMINAL} (/dev/tty): {error}")),
    }
}

fn read(terminal: &mut File, text: &str, is_withdrawn: &dyn Fn() -> bool) -> io::Result<Answer> {
    // Discards what was typed before the question was shown.
    tcflush(&*terminal, QueueSelector::IFlush)?;
    terminal.write_all(text.as_bytes())?;
    let mut line = Vec::new();
    loop {
        if is_withdrawn() {
            terminal.write_all(b"\ncapspawn: the question was withdrawn\n")?;
            return Ok(deny("the question was withdrawn"));
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
        if count == 0 || line.ends_with(b"\n") || line.len() > MAX_LINE_BYTES {
            return Ok(answer(&line));
        }
    }
}

/// Returns the answer that a line gives. Two lines allow; every other line denies.
fn answer(line: &[u8]) -> Answer {
    match line {
        b"y\n" => Answer::AllowOnce,
        b"a\n" => Answer::AllowForThisGuest,
        _ => deny("the answer on the terminal was no"),
    }
}

/// Returns the question as it is shown. Strings of the guest are quoted.
fn text(question: &Question) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = describe(question, &mut text);
    text
}

fn describe(question: &Question, text: &mut String) -> fmt::Result {
    let rules = &question.confinement;
    let component = quoted(&*question.component);
    writeln!(text, "{RESET}capspawn: {component} requests a program")?;
    writeln!(text, "  command    {}", quoted(&question.command))?;
    writeln!(text, "  program    {}", quoted(&question.program))?;
    for (index, argument) in question.argv.iter().enumerate() {
        let name = format!("argv[{index}]");
        writeln!(text, "  {name:<10} {}", quoted(argument))?;
    }
    writeln!(text, "  directory  {}", quoted(&question.cwd))?;
    writeln!(text, "  variables  {}", list(&question.env_names))?;
    match (question.stdin_piped, question.stdin_bytes) {
        (true, _) => writeln!(text, "  input      piped: the component writes it later")?,
        (false, 0) => writeln!(text, "  input      none")?,
        (false, bytes) => writeln!(text, "  input      {bytes} bytes")?,
    }
    for redirection in &question.redirections {
        let (stream, target) = (redirection.stream, target(&redirection.target));
        writeln!(text, "  {stream:<10} {target}")?;
    }
    let sandbox = rules.sandbox;
    if rules.sandbox == Sandbox::None {
        writeln!(
            text,
            "  sandbox    {sandbox}: the program can use all your files and your network"
        )?;
    } else {
        let network = rules.network;
        writeln!(text, "  sandbox    {sandbox}")?;
        writeln!(text, "  network    {network}")?;
        writeln!(
            text,
            "  reads      {}",
            list(&confinement::written(&rules.fs.read))
        )?;
        writeln!(
            text,
            "  writes     {}",
            list(&confinement::written(&rules.fs.write))
        )?;
        writeln!(
            text,
            "  denies     {}",
            list(&confinement::written(&rules.fs.deny))
        )?;
    }
    // Repeats the program: a long list may have scrolled its line off the screen.
    let arguments = question.argv.len().saturating_sub(1);
    write!(
        text,
        "Start {} with {arguments} arguments? \
         y: once, a: also for the same request later in this run, N: no [y/a/N] ",
        quoted(&question.program)
    )
}

/// Returns where a redirected stream leads.
fn target(target: &RedirectionTarget) -> String {
    match target {
        RedirectionTarget::Child => "another child of the component".to_owned(),
        RedirectionTarget::File { path, access } => {
            let verb = match access {
                FileAccess::Read => "reads",
                FileAccess::Write(FileMode::Truncate) => "replaces",
                FileAccess::Write(FileMode::Append) => "appends to",
            };
            format!("{verb} the file {}", quoted(path))
        }
    }
}

fn list<T: AsRef<OsStr>>(items: &[T]) -> String {
    if items.is_empty() {
        return "none".to_owned();
    }
    items.iter().map(quoted).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use capspawn::Redirection;
    use capspawn_native::sandbox::{Confinement, FsRules, Network};

    use super::*;
    use crate::output::tests::HOSTILE;

    fn question() -> Question {
        Question {
            component: "exec".into(),
            tenant: "".into(),
            command: "git".into(),
            program: "/usr/bin/git".into(),
            argv: vec!["git".into(), "push".into()],
            cwd: "/srv".into(),
            env_names: vec!["GIT_AUTHOR_DATE".into()],
            stdin_piped: false,
            stdin_bytes: 3,
            redirections: vec![Redirection {
                stream: "stdout",
                target: RedirectionTarget::File {
                    path: "/srv/log".into(),
                    access: FileAccess::Write(FileMode::Append),
                },
            }],
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
    fn every_string_of_the_guest_is_quoted() {
        let hostile = Question {
            component: HOSTILE.into(),
            command: HOSTILE.into(),
            program: HOSTILE.into(),
            argv: vec![HOSTILE.into(); 3],
            cwd: HOSTILE.into(),
            env_names: vec![HOSTILE.into()],
            redirections: vec![Redirection {
                stream: "stdin",
                target: RedirectionTarget::File {
                    path: HOSTILE.into(),
                    access: FileAccess::Read,
                },
            }],
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
        let text = text.strip_prefix(RESET).expect("the reset comes first");
        let stray = text.chars().find(|it| it.is_control() && *it != '\n');
        assert_eq!(stray, None, "{text}");
        assert!(text.is_ascii(), "{text}");
        // One line for each item, three for the arguments, and one for the question.
        assert_eq!(text.lines().count(), 16, "{text}");
    }

    #[test]
    fn the_question_shows_the_request_and_its_confinement() {
        let shown = text(&question());
        for line in [
            "capspawn: \"exec\" requests a program\n",
            "  program    \"/usr/bin/git\"\n  argv[0]    \"git\"\n  argv[1]    \"push\"\n",
            "  directory  \"/srv\"\n  variables  \"GIT_AUTHOR_DATE\"\n  input      3 bytes\n",
            "  stdout     appends to the file \"/srv/log\"\n",
            "  sandbox    required\n  network    loopback\n  reads      \"/usr\"\n",
            "  writes     \"/srv\" \"/var/a b\"\n  denies     none\n",
            "Start \"/usr/bin/git\" with 1 arguments?",
        ] {
            assert!(shown.contains(line), "no {line:?} in {shown}");
        }
        assert!(shown.ends_with("[y/a/N] "), "{shown}");

        let mut unconfined = question();
        Arc::make_mut(&mut unconfined.confinement).sandbox = Sandbox::None;
        let shown = text(&unconfined);
        assert!(
            shown.contains("none: the program can use all your files"),
            "{shown}"
        );
        assert!(!shown.contains("loopback"), "{shown}");
    }

    #[test]
    fn only_two_lines_allow() {
        assert_eq!(answer(b"y\n"), Answer::AllowOnce);
        assert_eq!(answer(b"a\n"), Answer::AllowForThisGuest);
        for line in ["", "y", "\n", "N\n", "n\n", "yes\n", "\x1b[0ny\n", "y\ny\n"] {
            let answer = answer(line.as_bytes());
            assert!(matches!(answer, Answer::Deny { .. }), "{line:?}");
        }
    }
}

//! A registry whose children are shell scripts, with a launcher that records or replays.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use capspawn_native::launch::Launcher;
use capspawn_native::sandbox::NativeLauncher;
use capspawn_native::{Captured, Child, Command, ExitStatus, Grants, Guest, Registry, Stdin};
use capspawn_tape::{Recorder, RecorderBuilder, Replayer, ReplayerBuilder, Tape};
use tempfile::TempDir;

const GRANT: &str = r#"
    version = 1

    [component.test]
    sandbox = "none"

    [[component.test.command]]
    name = "sh"
    program = "/bin/sh"
    args = ["-c", "*"]
    interpreter = true
    redirect = true
    cwd = { default = "/", roots = ["/", "/tmp"] }
    env = { allow = ["SECRET"] }
    fs = { write = ["/tmp"] }
"#;

/// How a child ended, and what it wrote.
pub(crate) type Outcome = (Option<ExitStatus>, Captured, Captured);

/// A guest that may run any script, and what the lines `more` of the grant allow.
fn guest(launcher: Arc<dyn Launcher>, more: &str) -> (Registry, Guest) {
    let registry = Registry::builder().launcher(launcher).build();
    let registry = registry.expect("a thread can be started");
    let grants = Grants::from_toml_str(&format!("{GRANT}{more}"), Path::new("/"));
    let grants = grants.expect("the grant is valid");
    let guest = registry.guest(grants.component("test"), "");
    (registry, guest)
}

pub(crate) fn sh(script: &str) -> Command {
    Command::new("sh").arg("-c").arg(script)
}

/// Waits for the end of a child, and of its output.
pub(crate) fn outcome(child: &Child) -> Outcome {
    let status = child.wait_blocking(None);
    loop {
        let (stdout, stderr) = child.captured(0, 0);
        if stdout.complete && stderr.complete {
            return (status, stdout, stderr);
        }
        std::thread::yield_now();
    }
}

/// Runs a script to its end.
pub(crate) fn run(guest: &Guest, script: &str) -> Outcome {
    outcome(&guest.spawn(&sh(script)).expect("it starts"))
}

/// Runs a script with this standard input.
pub(crate) fn run_with(guest: &Guest, script: &str, stdin: &str) -> Outcome {
    let mut command = sh(script);
    command.stdin = Stdin::Bytes(stdin.to_owned().into());
    outcome(&guest.spawn(&command).expect("it starts"))
}

/// A folder with a tape.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("/tmp is writable"))
    }

    pub(crate) fn tape(&self) -> PathBuf {
        self.0.path().join("tape.jsonl")
    }

    pub(crate) fn text(&self) -> String {
        fs::read_to_string(self.tape()).expect("it was recorded")
    }

    /// Records what `run` does, and returns what it returns.
    pub(crate) fn record<T>(&self, run: impl FnOnce(&Guest) -> T) -> T {
        self.record_by(|recorder| recorder.times(false), run)
    }

    /// Does what [`Folder::record`] does, with more lines of the grant.
    pub(crate) fn record_with<T>(&self, more: &str, run: impl FnOnce(&Guest) -> T) -> T {
        self.record_all(|recorder| recorder, more, run)
    }

    /// Does what [`Folder::record`] does, with other settings.
    pub(crate) fn record_by<T>(
        &self,
        set: impl FnOnce(RecorderBuilder) -> RecorderBuilder,
        run: impl FnOnce(&Guest) -> T,
    ) -> T {
        self.record_all(set, "", run)
    }

    fn record_all<T>(
        &self,
        set: impl FnOnce(RecorderBuilder) -> RecorderBuilder,
        more: &str,
        run: impl FnOnce(&Guest) -> T,
    ) -> T {
        let recorder = set(Recorder::builder(Arc::new(NativeLauncher::new())));
        let recorder = Arc::new(
            recorder
                .create(self.tape())
                .expect("the folder is writable"),
        );
        let (registry, guest) = guest(recorder.clone(), more);
        let returned = run(&guest);
        drop(guest);
        registry.shutdown(std::time::Duration::from_secs(5));
        recorder.finish().expect("the disk is not full");
        returned
    }

    /// Replays the tape for `run`.
    pub(crate) fn replay<T>(&self, run: impl FnOnce(&Guest) -> T) -> (T, Arc<Replayer>) {
        replay(&self.text(), |replayer| replayer, run)
    }

    /// Does what [`Folder::replay`] does, with more lines of the grant.
    pub(crate) fn replay_with<T>(
        &self,
        more: &str,
        run: impl FnOnce(&Guest) -> T,
    ) -> (T, Arc<Replayer>) {
        replay_all(&self.text(), |replayer| replayer, more, run)
    }
}

/// Replays the tape with this text.
pub(crate) fn replay<T>(
    tape: &str,
    set: impl FnOnce(ReplayerBuilder) -> ReplayerBuilder,
    run: impl FnOnce(&Guest) -> T,
) -> (T, Arc<Replayer>) {
    replay_all(tape, set, "", run)
}

fn replay_all<T>(
    tape: &str,
    set: impl FnOnce(ReplayerBuilder) -> ReplayerBuilder,
    more: &str,
    run: impl FnOnce(&Guest) -> T,
) -> (T, Arc<Replayer>) {
    let tape = Tape::parse(tape).expect("it is a tape");
    let replayer = set(Replayer::builder(tape))
        .build()
        .expect("its directories are set");
    let replayer = Arc::new(replayer);
    let (registry, guest) = guest(replayer.clone(), more);
    let returned = run(&guest);
    drop(guest);
    registry.shutdown(std::time::Duration::from_secs(5));
    (returned, replayer)
}

/// Removes what proves that a tape is unchanged.
pub(crate) fn unchecked(tape: &str) -> String {
    let lines = tape.lines().map(|line| match line.find(",\"check\":") {
        Some(check) => format!("{}}}\n", &line[..check]),
        None => format!("{line}\n"),
    });
    lines.collect()
}
